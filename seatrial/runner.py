"""The process that runs checks: one outcome for every phase of every check, whatever happens in it."""

from __future__ import annotations

import sys
from collections.abc import Generator
from functools import cached_property
from typing import Any

import pytest

from seatrial import options
from seatrial.changed import ABOUT, Watch, changed
from seatrial.checks import Check
from seatrial.mask import masked
from seatrial.outcome import Outcome
from seatrial.trial import TRIAL, Trial
from seatrial.verdict import NotApplicable, Reason, Verdict

SLOW = "slow"
"""Marks a check that takes several minutes."""
LAST_NET = 60.0 + 30.0 + 360.0
"""Seconds that pytest-timeout grants beyond a check's own timeouts: slack, clean-up, and the rollouts at the start."""


class Runner:
    """Lives in each worker, and in the controller when there are none."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    @property
    def trial(self) -> Trial:
        """This process's share of the run."""
        return self.config.stash[TRIAL]

    @cached_property
    def watch(self) -> Watch:
        """Sees whether what is under test stays the same."""
        return Watch(self.config, self.trial)

    def pytest_sessionfinish(self) -> None:
        """Nobody looks any more."""
        if "watch" in vars(self):
            self.watch.close()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Name the check in every event of the record, and spread the last net under it."""
        if self.config.getoption("timeout", None) is None and not item.get_closest_marker("timeout"):
            seconds = self.trial.settings.longest_check() + LAST_NET
            if item.get_closest_marker(SLOW):
                seconds += self.trial.settings.broker_idle * self.trial.settings.timeout_factor
            item.add_marker(pytest.mark.timeout(seconds, method="signal"))
        self.trial.record.check = Check.of(item).id
        try:
            return (yield)
        finally:
            self.trial.record.check = ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """A run that only reads judges no check that writes; after a change there is nothing to judge."""
        if self.trial.settings.read_only and item.get_closest_marker("writes"):
            raise NotApplicable("this check writes, and the run only reads (read_only)")
        check = Check.of(item).id
        if item.get_closest_marker("disruptive") and check not in options.disruptive(self.config):
            raise NotApplicable(f"this check disturbs others on the cluster; it runs with --disruptive {check} alone")
        if item.get_closest_marker(SLOW) and not options.asks_for_slow(self.config, item):
            raise NotApplicable("this check takes several minutes; it runs with -m slow, or by its name")
        self.watch.refuse()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Turn what pytest found into our verdict: an error in a body is no failure, a bare skip is no skip."""
        report = yield
        outcome = Outcome.of(call.when, call.excinfo)
        if outcome.verdict is Verdict.PASS and hasattr(report, "wasxfail"):
            outcome = Outcome(Verdict.ERROR, "an xfail mark hides what a check found", Reason.BUG)
        elif hasattr(report, "wasxfail"):
            del report.wasxfail
        if call.when == "teardown" and outcome.verdict is Verdict.PASS:
            return report
        if self._is_last_look(item, call.when, outcome) and (line := self.watch.look()):
            outcome = Outcome.error(changed(line))
        record = self.trial.record
        record.event("phase", when=call.when, seconds=round(call.duration, 3), **outcome.data())
        if record.trouble and outcome.verdict is Verdict.PASS:
            outcome = Outcome.error(record.unwritten)
        label(report, outcome)
        return report

    def _is_last_look(self, item: pytest.Item, when: str, outcome: Outcome) -> bool:
        """Whether the check that is about the release has just been judged."""
        ended = when == "call" or (when == "setup" and outcome.verdict is not Verdict.PASS)
        judged = outcome.verdict in (Verdict.PASS, Verdict.FAIL, Verdict.BLOCKED)
        return ended and judged and not ABOUT.isdisjoint(getattr(item, "fixturenames", ()))


def label(report: pytest.TestReport, outcome: Outcome) -> None:
    """Write `outcome` over `report`, so that pytest, JUnit and ``--lf`` say the same as we do."""
    setattr(report, OUTCOME, outcome.data())
    if outcome.verdict is Verdict.PASS:
        return
    if outcome.verdict is Verdict.NOT_APPLICABLE:
        report.outcome = "skipped"
        report.user_properties.append(("verdict", outcome.verdict.value))
        return
    report.outcome = "failed"
    report.longrepr = outcome.text()
    report.sections = [(title, masked(text)) for title, text in report.sections]
    if report.when == "call" and outcome.verdict is not Verdict.FAIL:
        report.when = "setup"
    properties: list[tuple[str, object]] = [("verdict", outcome.verdict.value)]
    properties += [("reason", outcome.reason.value)] if outcome.reason else []
    properties += [("cause", outcome.cause.key)] if outcome.cause else []
    report.user_properties.extend(properties)


OUTCOME = "seatrial"
"""The attribute under which a pytest report carries an outcome's data from a worker to the controller."""


def outcome_of(report: pytest.TestReport) -> Outcome | None:
    """The outcome that `label` wrote, if any."""
    data: dict[str, Any] | None = getattr(report, OUTCOME, None)
    return Outcome.from_data(data) if data else None


def refuse_optimised_python() -> None:
    """`pytest.UsageError` under ``python -O``: every assertion is gone, and every check would be green."""
    if sys.flags.optimize:
        raise pytest.UsageError("python -O removes every assertion, so nothing could be judged; run without -O")
