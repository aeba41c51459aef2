"""What every part of a run shares in one process: settings, record, journal, the loop."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property

import pytest

from seatrial import kinds
from seatrial.expectations import Scope
from seatrial.journal import Journal
from seatrial.record import Record
from seatrial.run import Run, started
from seatrial.settings import TABLE, Settings
from seatrial.wait import Unwatched, Wait, Watcher

DURATIONS = (kinds.seconds, kinds.patience)


@dataclass
class Trial:
    """`needs`: the ids of the selected checks, and the names of all fixtures that they ask for, directly or not.
    `writes`: whether one of them may create or delete something. `declared`: the phases, clouds and vendors that ``-m``
    says must be there. `identity`: what was under test at the run's start, see `seatrial.changed`.
    `home`: the namespace of what is under test, once it was found at the run's start; there the run's Lease is.

    With `keep` nothing is removed but by checks that are about a removal.
    After a signal `interrupted` is set: finalizers then do nothing, the controller settles the journal.
    `unhurried`: a sweep, which may take the time to find out what the end of a run can only doubt.
    `settings` start as the user gave them; discovery fills in what is left.
    """

    run: Run
    settings: Settings
    record: Record
    needs: frozenset[str] = frozenset()
    writes: bool = False
    declared: frozenset[str] = frozenset()
    keep: bool = False
    unhurried: bool = False
    identity: str | None = None
    home: str = ""
    watcher: Watcher | None = None
    interrupted: bool = False
    whole: Callable[[], AbstractContextManager[None]] = nullcontext
    """Put it around a create and its answer: an interrupt waits a moment for the end of both."""
    headline: str = ""
    """What stands before all else at the head of the run; what finds the target out sets it."""
    known: set[str] = field(default_factory=set)
    """Trouble that need not hold again, see `seatrial.wait`."""

    @cached_property
    def journal(self) -> Journal:
        """What this process makes, on disk before it is made."""
        return Journal(self.record)

    @property
    def scope(self) -> Scope:
        """What must be there, since the run declares it."""
        return Scope(self.settings.expect, self.declared)

    @property
    def wait(self) -> Wait:
        """The one loop, with this run's factor."""
        return Wait(self.settings.timeout_factor, self.settings.settle, self.watcher or Unwatched(), self.known)

    @property
    def expires(self) -> float:
        """When nothing of this run can be needed any more, in seconds since 1970: its start, all timeouts, an hour."""
        settings = self.settings
        timeouts: float = sum(getattr(settings, name) for name, spec in TABLE.items() if spec.kind in DURATIONS)
        return started(self.run.id) + timeouts * max(1.0, settings.timeout_factor) + 3600

    def note(self, line: str) -> None:
        """Something that a reader of the verdict should know; listed at the end."""
        self.record.event("note", line=line)

    def warn(self, line: str) -> None:
        """Something that should be mended, though the check that runs does not fail by it; listed at the end."""
        self.record.event("warning", line=line)


TRIAL = pytest.StashKey[Trial]()
