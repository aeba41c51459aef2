"""One run: its id, its names, its directory. Every object of ours carries the run."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

_EPOCH = 1_577_836_800  # 2020-01-01: six base-36 digits of seconds last until 2089
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
CONTROLLER = "main"
_DAY = 86_400  # by which clocks may differ
_NAMED = re.compile(r"(?:^|[^a-z0-9-])seatrial-(?:[a-z0-9-]+-)?([0-9a-z]{10})$")
_CHANCE = 4


def new_id(now: float | None = None) -> str:
    """Ten characters: the start in seconds since 2020, and four by chance. A name alone gives run and age."""
    seconds = int((time.time() if now is None else now) - _EPOCH)
    digits = ""
    for _ in range(6):
        seconds, digit = divmod(seconds, 36)
        digits = _DIGITS[digit] + digits
    return digits + "".join(secrets.choice(_DIGITS) for _ in range(_CHANCE))


def started(run_id: str) -> float:
    """When the run with this id began, in seconds since 1970; ValueError if it is no run id."""
    if len(run_id) != 6 + _CHANCE or not set(run_id) <= set(_DIGITS):
        raise ValueError(f"{run_id!r} is no run id")
    return _EPOCH + int(run_id[:6], 36)


def run_in(name: str) -> str:
    """The id of the run that the name of a thing of ours, ``seatrial-<what>-<run>``, ends with; empty if it is none."""
    found = _NAMED.search(name)
    return found[1] if found and started(found[1]) < time.time() + _DAY else ""


@dataclass(frozen=True)
class Run:
    """This run as seen from one process: `worker` is ``main`` or xdist's ``gw0``, `directory` holds the record."""

    id: str
    directory: Path
    worker: str = CONTROLLER

    def name(self, what: str) -> str:
        """The name of an object of ours, e.g. ``seatrial-echo-sync-t5k2m9x7qd``."""
        return f"seatrial-{what}-{self.id}"
