"""Ends a run in the controlling process, whatever ends it: a verdict for every check, and the journal is settled."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from seatrial import cleanup
from seatrial.cleanup import DEADLINE, Settled
from seatrial.journal import Entry, open_entries
from seatrial.opening import Opening
from seatrial.record import events
from seatrial.resources import LEASES
from seatrial.signals import Signals
from seatrial.trial import TRIAL
from seatrial.workers import Workers

AT_LEAST = 5.0
"""Seconds that clean-up gets, however long the way to it took."""


@dataclass
class Ending:
    """`fill` gives each check its verdict that has none; `settled` says what is left, `kept` what ``--keep`` left."""

    config: pytest.Config
    signals: Signals
    workers: Workers
    opening: Opening
    fill: Callable[[], None]
    settled: Settled = field(default_factory=Settled)
    kept: list[Entry] = field(default_factory=list)
    interrupted: bool = False
    """Whether something ended the run before its time; a signal that comes later is in `signals` alone."""
    _begun: bool = False

    def end(self) -> None:
        """Do it, once. Signals do not break it off: the second ends the process."""
        self.signals.in_order()
        if self._begun or TRIAL not in self.config.stash:
            return
        self._begun = True
        trial = self.config.stash[TRIAL]
        trial.interrupted = self.interrupted
        if self.interrupted:
            self.workers.kill()
        if self.opening.lease is not None:
            self.opening.lease.end()
        self.fill()
        entries = list(open_entries(events(trial.run.directory)))
        if trial.keep:  # all but what says that the run goes on
            self.kept = [one for one in entries if one.how.get("plural") != LEASES.plural]
            entries = [one for one in entries if one not in self.kept]
        cleaners = {k: v for some in self.config.hook.pytest_seatrial_cleaners() for k, v in some.items()}
        waited = time.monotonic() - (self.signals.at or time.monotonic())
        # What cleaners make for their work is removed, though the run was interrupted or keeps what it made.
        working = replace(trial, interrupted=False, keep=False)
        cleanup.settle(working, entries, cleaners, self.settled, max(AT_LEAST, DEADLINE - waited))
