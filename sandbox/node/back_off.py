"""The kubelet's back-off: 10, 20, 40 … 300 s."""

from __future__ import annotations

from collections.abc import Iterator

INITIAL_SECONDS = 10
MAX_SECONDS = 300
# A container that ran this long before it ended begins again with the shortest delay.
RESET_SECONDS = 2 * MAX_SECONDS


def delays(*, first_at_once: bool) -> Iterator[int]:
    """The seconds to wait before each further try, without end. Restarts: the first one is at once; pulls: none is."""
    if first_at_once:
        yield 0
    delay = INITIAL_SECONDS
    while True:
        yield delay
        delay = min(2 * delay, MAX_SECONDS)
