"""Settles the journal: whatever this run made and has not removed is removed now, all at once, within a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from seatrial.hookspecs import Cleaner
from seatrial.journal import Entry
from seatrial.mask import masked
from seatrial.trial import Trial

DEADLINE = 25.0
"""Seconds for everything together; an interrupted run is back at the prompt within 30."""


@dataclass(frozen=True)
class Left:
    """An entry that is still there, and the reason."""

    entry: Entry
    why: str


def settle(trial: Trial, entries: Iterable[Entry], cleaners: Mapping[str, Cleaner]) -> list[Left]:
    """Remove all `entries` in parallel; what is left after `DEADLINE` seconds, and why. Never raises."""
    whys: dict[Entry, str] = {}
    threads = []
    for entry in entries:
        whys[entry] = f"not gone within {DEADLINE:g} s"
        thread = threading.Thread(target=_remove, args=(trial, entry, cleaners.get(entry.kind), whys), daemon=True)
        thread.start()
        threads.append(thread)
    end = time.monotonic() + DEADLINE
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return [Left(entry, why) for entry, why in whys.copy().items()]


def _remove(trial: Trial, entry: Entry, cleaner: Cleaner | None, whys: dict[Entry, str]) -> None:
    try:
        if cleaner is None:
            raise LookupError(f"nothing here knows how to remove {entry.kind}")
        cleaner(trial, entry)
    except Exception as error:  # whatever it is, the entry is left and the user is told so
        whys[entry] = masked(str(error) or type(error).__name__).splitlines()[0]
        return
    trial.journal.settled(entry)
    whys.pop(entry)
