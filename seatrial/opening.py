"""Opens a run in the controlling process: settings, record, target; what others left or do is said before it begins."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from seatrial import alive, changed, connect, declaration, options, report, sandboxed
from seatrial.checks import Check
from seatrial.lease import Lease
from seatrial.origin import Origin
from seatrial.progress import Progress
from seatrial.record import Record
from seatrial.run import Run, new_id
from seatrial.settings import Settings
from seatrial.signals import Signals
from seatrial.trial import TRIAL, Trial
from seatrial.verdict import BadSettings, NotJudged

THEN = "should that not end"


@dataclass
class Opening:
    """`head`: the lines at the head of the run. `hand_over`: what a worker is told. `sweep`: removes what it makes."""

    config: pytest.Config
    hand_over: dict[str, Any]
    signals: Signals
    head: list[str] = field(default_factory=list)
    sweep: str = ""
    lease: Lease | None = None
    _alive: IO[str] | None = None

    def open(self, items: list[pytest.Item], checks: Mapping[str, Check]) -> None:
        """Put the run's `Trial` into the stash; `pytest.UsageError` for what can be known before anything runs."""
        try:
            self._open(items, checks)
        except BadSettings as error:
            if TRIAL in self.config.stash:  # its record is no run's that was ended by force
                self.config.stash[TRIAL].record.event("end", code=pytest.ExitCode.USAGE_ERROR.value, line=error.whole)
            raise pytest.UsageError(error.whole) from None

    def _open(self, items: list[pytest.Item], checks: Mapping[str, Check]) -> None:
        config = self.config
        self.hand_over |= sandboxed.start(config) | declaration.inherited(config)
        settings = Settings.load({**options.given(config), **self.hand_over}, os.environ, config.invocation_params.dir)
        run_id = new_id()
        run = Run(run_id, settings.record_directory / run_id)
        self.hand_over |= {"run": run.id, "directory": str(run.directory)}
        record, self._alive = _record(run)
        declared = declaration.markers(config, items)
        needs = frozenset(name for item in items for name in getattr(item, "fixturenames", ()))
        needs |= {check.id for check in checks.values()}
        writes = any(item.get_closest_marker("writes") for item in items) and not settings.read_only
        self.hand_over |= {"needs": sorted(needs), "writes": writes, "declared": sorted(declared)}
        trial = Trial(
            run,
            settings,
            record,
            needs=needs,
            writes=writes,
            declared=declared,
            keep=options.keep(config),
            watcher=Progress(config, record=record),
            whole=self.signals.whole,
        )
        config.stash[TRIAL] = trial
        origin = _origin(trial)
        if "sandbox" not in self.hand_over:
            self.sweep = self._sweep(run.id)
        there = vars(origin) if origin else None
        record.event("run", id=run.id, sweep=self.sweep, origin=there, checks=[vars(one) for one in checks.values()])
        self.signals.sweep = self.sweep or "(nothing: it ends with its sandbox)"
        does = "--keep leaves" if trial.keep else "removing"
        self.signals.then = f"{does} what run {run.id} made; {'to remove it' if trial.keep else THEN}, type:"
        if "sandbox" in self.hand_over:
            self.head.append(report.SANDBOX)
        self.head.append(f"run {run.id}, record in {_shown(run.directory)}")
        self.head += self._target(trial)
        self.hand_over["identity"] = trial.identity
        self.head[:0] = [trial.headline] if trial.headline else []
        self.head += alive.ended_by_force(settings.record_directory, origin)

    def _sweep(self, run_id: str) -> str:
        """The command that removes what the run with this id has left in this run's target."""
        origin = _origin(self.config.stash[TRIAL])
        context = origin.context if origin else ""
        return options.sweep(options.given(self.config), run_id, context)

    def _target(self, trial: Trial) -> list[str]:
        """The lines about the target. What keeps us from it, other than settings, is for the checks to say."""
        try:
            lines = [line for lines in self.config.hook.pytest_seatrial_target(trial=trial) for line in lines]
            changed.start(self.config, trial)
            if trial.writes and "target" in trial.needs:
                self.lease = Lease(trial, self._sweep)
                lines += self.lease.begin()
            return lines
        except BadSettings:
            raise
        except NotJudged as error:
            return [f"target not looked at: {error.line}"]


def _record(run: Run) -> tuple[Record, IO[str]]:
    """The record, and what says that the run goes on."""
    try:
        return Record(run), alive.hold(run.directory)
    except OSError as error:
        raise pytest.UsageError(f"the record cannot be written: {error} (record_directory)") from None


def _origin(trial: Trial) -> Origin | None:
    """Where the run is, if one of its checks asks for a target."""
    return Origin.of(connect.target(trial), trial.settings) if "target" in trial.needs else None


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
