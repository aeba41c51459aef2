"""The controlling process: gives every check its verdict, decides the exit code, writes the result."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from seatrial import declaration, report, result
from seatrial.checks import Check
from seatrial.ending import Ending
from seatrial.opening import Opening
from seatrial.outcome import Outcome
from seatrial.record import events
from seatrial.runner import label, outcome_of
from seatrial.signals import Signals
from seatrial.trial import TRIAL
from seatrial.verdict import Reason, Verdict
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
        self.collected_badly = False
        self.done: dict[str, Any] = {}
        self.signals = Signals()
        self.opening = Opening(config, {}, self.signals)
        self.workers = Workers(config, self.opening.hand_over)
        if self.distributed:
            config.pluginmanager.register(self.workers, "seatrial-workers")
        self.ending = Ending(config, self.signals, self.workers, self.opening, self._fill)
        self.signals.leave = self.workers.kill
        self.signals.install()

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
        self.workers.begin_deaf()

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
        self.opening.open(session.items, self.checks)
        self._write(self.opening.head)

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
            self.ending.interrupted = type(error) is KeyboardInterrupt
            raise
        finally:
            self.ending.end()

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Before the loop, or between it and its end, it is the same: with workers nothing else is called then."""
        self.ending.interrupted |= excinfo.type is KeyboardInterrupt
        self.ending.end()

    def _fill(self) -> None:
        """A verdict for each check that reported none; a run that was stopped by ``-x`` says so in the record alone."""
        trial, interrupted = self.config.stash[TRIAL], self.ending.interrupted
        waited_for = {event["check"]: event for event in events(trial.run.directory) if event["kind"] == "waiting"}
        if interrupted:
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
            if interrupted and (last := waited_for.get(self.checks[nodeid].id)):
                line = f"the run was interrupted while it waited for {last['what']}: {last['reason']}"
                label(missing, replace(outcome, line=line))
            else:
                label(missing, outcome)
            self.config.hook.pytest_runtest_logreport(report=missing)

    # -- the end --------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Decide the exit code and write ``run.json``."""
        self.signals.in_order()
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
        self.done = result.collect(
            trial,
            self.checks,
            self.outcomes,
            self.seconds,
            head=self.opening.head,
            ending=self.ending,
            lost=self.workers.lost,
            code=code,
        )
        declaration.remember(self.config, trial)
        self.signals.over = True
        trial.record.event("end", code=code)
        trial.record.close()
        path = trial.run.directory / "run.json"
        try:
            path.write_text(json.dumps(self.done, indent=1), encoding="utf-8")
        except OSError as error:
            trial.record.trouble = trial.record.trouble or error.strerror or str(error)
            with suppress(OSError):
                path.unlink()  # half of it is worse than none
        if trial.record.trouble:
            session.exitstatus = self.done["exit"] = code or 3
            self.done["unwritten"] = trial.record.unwritten.line

    def _code(self, exitstatus: int) -> int:
        """The first that applies, with and without workers alike."""
        verdicts = {outcome.verdict for outcome in self.outcomes.values()}
        if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and not self.collected_badly:
            return 5
        if self.collected_badly:
            return 3
        if self.ending.interrupted or self.signals.came:
            return report.INTERRUPTED
        if verdicts & {Verdict.FAIL, Verdict.BLOCKED}:
            return 1
        if Verdict.ERROR in verdicts or self.ending.settled.left or self.workers.lost or Verdict.PASS not in verdicts:
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
