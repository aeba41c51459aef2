"""Settles the journal: whatever this run made and has not removed is removed now, all at once, within a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from seatrial.hookspecs import Cleaner
from seatrial.journal import Entry
from seatrial.mask import masked
from seatrial.trial import Trial

DEADLINE = 25.0
"""Seconds for everything together; an interrupted run is back at the prompt within 30."""


def settle(trial: Trial, left: dict[Entry, str], cleaners: Mapping[str, Cleaner]) -> None:
    """Remove what is `left`, all in parallel; after `DEADLINE` seconds it holds what is left still, and why.

    It is changed in place, so that whoever interrupts even this still has it. Raises nothing of its own.
    """
    threads = []
    for entry in list(left):
        left[entry] = "its removal was not finished"
        thread = threading.Thread(target=_remove, args=(trial, entry, cleaners.get(entry.kind), left), daemon=True)
        thread.start()
        threads.append(thread)
    end = time.monotonic() + DEADLINE
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))


def _remove(trial: Trial, entry: Entry, cleaner: Cleaner | None, left: dict[Entry, str]) -> None:
    try:
        if cleaner is None:
            raise LookupError(f"nothing here knows how to remove {entry.kind}")
        cleaner(trial, entry)
        trial.journal.settled(entry)
    except Exception as error:  # whatever it is, the entry is left and the user is told so
        left[entry] = masked(str(error) or type(error).__name__).splitlines()[0]
        return
    left.pop(entry)
