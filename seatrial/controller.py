"""The controlling process: opens the run, gives every check its verdict, settles the journal, decides the exit code."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seatrial import cleanup, declaration, options, report, sandboxed
from seatrial.checks import Check
from seatrial.journal import Entry, open_entries
from seatrial.outcome import Outcome
from seatrial.progress import Progress
from seatrial.record import Record, events
from seatrial.run import Run, new_id
from seatrial.runner import label, outcome_of
from seatrial.settings import Settings
from seatrial.trial import TRIAL, Trial
from seatrial.verdict import BadSettings, NotJudged, Reason, Verdict
from seatrial.workers import Workers


class Controller:
    """One for each run, with or without workers."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.distributed = config.pluginmanager.hasplugin("dsession") or bool(config.getoption("tx", None))
        self.checks: dict[str, Check] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.seconds: dict[str, float] = {}
        self.ended: set[str] = set()
        self.nodes: dict[str, object] = {}
        self.left: dict[Entry, str] = {}
        self.head: list[str] = []
        self.hand_over: dict[str, Any] = {}
        self.workers = Workers(config, self.hand_over)
        if self.distributed:
            config.pluginmanager.register(self.workers, "seatrial-workers")
        self.signalled = False
        self.collected_badly = False
        self.done: dict[str, Any] = {}

    # -- before anything runs -------------------------------------------------------------------------------------

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Remember the session for the hook below, which pytest-xdist calls without it."""
        self.session = session

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, config: pytest.Config, specs: list[Any]) -> None:
        """Collect here before there are workers: what is wrong is found before anything runs, as it is without them."""
        self.session.perform_collect()
        self._open(self.session)
        if TRIAL not in config.stash:
            specs.clear()

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, object, object]:
        """A collection error ends the run; else it opens."""
        if self.distributed and session.testsfailed:
            self._collected_badly()
            raise session.Interrupted(f"{session.testsfailed} error(s) during collection")
        result = yield
        if not self.distributed and not self.config.option.collectonly:
            self._open(session)
        if session.testsfailed:
            self._collected_badly()
        return result

    def _collected_badly(self) -> None:
        self.collected_badly = True
        self.config.option.tbstyle = "short"

    def _open(self, session: pytest.Session) -> None:
        self.checks = {item.nodeid: Check.of(item) for item in session.items}
        if session.testsfailed:
            self.config.option.continue_on_collection_errors = False  # nothing was opened: nothing may run
        if not session.items or session.testsfailed:
            return
        try:
            self.hand_over |= sandboxed.start(self.config) | declaration.inherited(self.config)
            settings = Settings.load(
                {**options.given(self.config), **self.hand_over}, os.environ, self.config.invocation_params.dir
            )
            run_id = new_id()
            run = Run(run_id, settings.record_directory / run_id)
            self.hand_over |= {"run": run.id, "directory": str(run.directory)}
            needs = frozenset(name for item in session.items for name in getattr(item, "fixturenames", ()))
            writes = any(item.get_closest_marker("writes") for item in session.items) and not settings.read_only
            record = _record(run)
            declared = declaration.markers(self.config, session.items)
            self.hand_over["declared"] = sorted(declared)
            trial = Trial(run, settings, record, needs, writes, declared, Progress(self.config, record=record))
            self.config.stash[TRIAL] = trial
            trial.record.event("run", id=run.id, checks=[vars(check) for check in self.checks.values()])
            lines = self._target(trial)
        except BadSettings as error:
            raise pytest.UsageError(_one_line(error)) from None
        tried_out = [report.SANDBOX] if "sandbox" in self.hand_over else []
        self.head = [
            *tried_out,
            f"run {run.id}, record in {_shown(run.directory)}",
            *lines,
        ]
        self._write(self.head)

    def _target(self, trial: Trial) -> list[str]:
        """The lines about the target. What keeps us from it, other than settings, is for the checks to say."""
        try:
            return [line for lines in self.config.hook.pytest_seatrial_target(trial=trial) for line in lines]
        except BadSettings:
            raise
        except NotJudged as error:
            return [f"target not looked at: {error.line}"]

    # -- while checks run -----------------------------------------------------------------------------------------

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """The check at which a worker died could not be judged."""
        report.when = "setup"
        label(report, Outcome(Verdict.ERROR, "the worker that ran this check died", Reason.WORKER))
        self.ended.add(crashitem)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember the worst outcome of each check's phases, and their seconds."""
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        self.nodes[report.nodeid] = getattr(report, "node", None)
        if outcome := outcome_of(report):
            self.outcomes[report.nodeid] = outcome.worse(self.outcomes.get(report.nodeid))
        if report.when == "teardown":
            self.ended.add(report.nodeid)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """However the loop ends, every check gets its verdict and the journal is settled."""
        try:
            return (yield)
        except KeyboardInterrupt as error:
            self.signalled = type(error) is KeyboardInterrupt
            raise
        finally:
            if TRIAL in self.config.stash:
                trial = self.config.stash[TRIAL]
                trial.interrupted = self.signalled
                self.left = dict.fromkeys(open_entries(events(trial.run.directory)), "the run was left before its end")
                if self.signalled:
                    self.workers.kill()
                    self._write(
                        ["", f"interrupted: removing what run {trial.run.id} made; if that does not end, type:"]
                    )
                    self._write(line for entry in self.left for line in entry.how.get("type", entry.name).splitlines())
                self._fill(trial)
                self._settle(trial)
                if self.signalled and not self.left:
                    self._write([f"nothing of run {trial.run.id} is left"])

    def _fill(self, trial: Trial) -> None:
        """A verdict for each check that reported none; a run that was stopped by ``-x`` says so in the record alone."""
        waited_for = {event["check"]: event for event in events(trial.run.directory) if event["kind"] == "waiting"}
        if self.signalled:
            outcome = Outcome(Verdict.ERROR, "the run was interrupted before this check was judged", Reason.INTERRUPTED)
        elif self.workers.lost:
            outcome = Outcome(Verdict.ERROR, "the worker that had this check died before it", Reason.WORKER)
        else:
            outcome = Outcome(Verdict.ERROR, "the run was stopped before this check", Reason.STOPPED)
        for nodeid in self.checks:
            if nodeid in self.ended:
                continue
            if outcome.reason is Reason.STOPPED:
                self.outcomes[nodeid] = outcome
                continue
            location = (nodeid.partition("::")[0], 0, nodeid.partition("::")[2])
            missing = pytest.TestReport(nodeid, location, {}, "failed", None, "setup", duration=0.0)
            if node := self.nodes.get(nodeid):
                missing.node = node  # type: ignore[attr-defined]  # JUnit keeps a check's reports together by it
            if self.signalled and (last := waited_for.get(self.checks[nodeid].id)):
                line = f"the run was interrupted while it waited for {last['what']}: {last['reason']}"
                label(missing, replace(outcome, line=line))
            else:
                label(missing, outcome)
            self.config.hook.pytest_runtest_logreport(report=missing)

    def _settle(self, trial: Trial) -> None:
        cleaners = {k: v for some in self.config.hook.pytest_seatrial_cleaners() for k, v in some.items()}
        cleanup.settle(trial, self.left, cleaners)

    # -- the end --------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Decide the exit code and write ``run.json``."""
        if self.config.option.collectonly or exitstatus in (
            pytest.ExitCode.USAGE_ERROR,
            pytest.ExitCode.INTERNAL_ERROR,
        ):
            return
        code = self._code(exitstatus)
        session.exitstatus = code
        if TRIAL not in self.config.stash:
            return
        trial = self.config.stash[TRIAL]
        self.done = report.collect(
            trial,
            self.checks,
            self.outcomes,
            self.seconds,
            head=self.head,
            left=self.left,
            lost=self.workers.lost,
            code=code,
        )
        declaration.remember(self.config, trial)
        trial.record.event("end", code=code)
        trial.record.close()
        path = trial.run.directory / "run.json"
        path.write_text(json.dumps(self.done, indent=1), encoding="utf-8")

    def _code(self, exitstatus: int) -> int:
        """The first that applies, with and without workers alike."""
        verdicts = {outcome.verdict for outcome in self.outcomes.values()}
        if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and not self.collected_badly:
            return 5
        if self.collected_badly:
            return 3
        if self.signalled:
            return 2
        if verdicts & {Verdict.FAIL, Verdict.BLOCKED}:
            return 1
        if Verdict.ERROR in verdicts or self.left or self.workers.lost or Verdict.PASS not in verdicts:
            return 3
        return 0

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """The end of the run, as a pure function of the record."""
        if self.done:
            report.write(self.done, terminalreporter)

    def _write(self, lines: Iterable[str]) -> None:
        if terminal := self.config.pluginmanager.get_plugin("terminalreporter"):
            for line in lines:
                terminal.write_line(line)


def _record(run: Run) -> Record:
    try:
        return Record(run)
    except OSError as error:
        raise pytest.UsageError(f"the record cannot be written: {error} (record_directory)") from None


def _one_line(error: BadSettings) -> str:
    source = f" ({error.source})" if error.source else ""
    do = f"; {error.do}" if error.do else ""
    return f"{error.line}{source}{do}"


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
