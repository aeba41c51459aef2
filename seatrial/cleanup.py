"""Settles the journal: whatever a run made and has not removed is removed now, all at once, within a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from seatrial.hookspecs import Cleaner
from seatrial.journal import Entry, open_entries
from seatrial.mask import masked
from seatrial.record import events
from seatrial.resources import PODS
from seatrial.trial import Trial
from seatrial.verdict import NotApplicable

DEADLINE = 25.0
"""Seconds for everything together; an interrupted run is back at the prompt within 30."""
AT_LEAST = 2.0
"""Seconds for what cleaners made for their work, however long that took."""


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

    What a pod of ours makes (``by_pod``) is removed once our pods have ended, and what cleaners made for their work
    after them. Raises nothing of its own.
    """
    end = time.monotonic() + deadline
    before = {(entry.kind, entry.name) for entry in _open(trial)}
    _settle(trial, entries, cleaners, settled, end)
    made = [entry for entry in _open(trial) if (entry.kind, entry.name) not in before]
    _settle(trial, made, cleaners, settled, max(end, time.monotonic() + AT_LEAST))


def _open(trial: Trial) -> list[Entry]:
    return list(open_entries(events(trial.run.directory)))


def _settle(
    trial: Trial, entries: Iterable[Entry], cleaners: Mapping[str, Cleaner], settled: Settled, end: float
) -> None:
    threads: list[threading.Thread] = []
    pods: list[threading.Thread] = []
    for entry in sorted(entries, key=lambda entry: bool(entry.how.get("by_pod"))):
        settled.left[entry] = "its removal was not finished"
        before = pods if entry.how.get("by_pod") else []
        cleaner = cleaners.get(entry.kind)
        thread = threading.Thread(target=_remove, args=(trial, entry, cleaner, settled, before), daemon=True)
        thread.start()
        if entry.how.get("plural") == PODS.plural:
            pods.append(thread)
        threads.append(thread)
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))


def _remove(
    trial: Trial, entry: Entry, cleaner: Cleaner | None, settled: Settled, before: Iterable[threading.Thread]
) -> None:
    for thread in before:
        thread.join()
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
