"""Settles the journal: whatever a run made and has not removed is removed now, all at once, within a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from seatrial.hookspecs import Cleaner
from seatrial.journal import Entry
from seatrial.mask import masked
from seatrial.trial import Trial
from seatrial.verdict import NotApplicable

DEADLINE = 25.0
"""Seconds for everything together; an interrupted run is back at the prompt within 30."""


@dataclass
class Settled:
    """What has become of a run's things: `left` says why, `terminating` until when.

    It is filled in place, so that whoever interrupts even this still has it.
    """

    left: dict[Entry, str] = field(default_factory=dict)
    gone: list[Entry] = field(default_factory=list)
    terminating: list[str] = field(default_factory=list)


def settle(
    trial: Trial,
    entries: Iterable[Entry],
    cleaners: Mapping[str, Cleaner],
    settled: Settled,
    deadline: float = DEADLINE,
) -> None:
    """Remove all `entries` in parallel; what is not gone after `deadline` seconds stays in ``settled.left``.

    Raises nothing of its own.
    """
    threads = []
    for entry in entries:
        settled.left[entry] = "its removal was not finished"
        thread = threading.Thread(target=_remove, args=(trial, entry, cleaners.get(entry.kind), settled), daemon=True)
        thread.start()
        threads.append(thread)
    end = time.monotonic() + deadline
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))


def _remove(trial: Trial, entry: Entry, cleaner: Cleaner | None, settled: Settled) -> None:
    try:
        if cleaner is None:
            raise LookupError(f"nothing here knows how to remove {entry.kind}")
        settled.terminating += cleaner(trial, entry) or []
        trial.journal.settled(entry)
    except (Exception, NotApplicable) as error:  # whatever it is, the entry is left and the user is told so
        settled.left[entry] = masked(str(error) or type(error).__name__).splitlines()[0]
        return
    settled.left.pop(entry)
    settled.gone.append(entry)
