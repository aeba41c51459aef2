"""The one loop: its probes, its deadline, its story, and the causes that end it before the deadline."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

import pytest

from seatrial.verdict import Cause, Unhealthy, Unreachable
from seatrial.wait import Wait


@dataclass
class Heard:
    """A watcher that remembers."""

    lines: list[tuple[str, str, bool]] = field(default_factory=list)
    over: int = 0

    def waiting(self, what: str, seconds: float, reason: str, *, changed: bool) -> None:
        self.lines.append((what, reason, changed))

    def waited(self, what: str, seconds: float) -> None:
        self.over += 1


def after(seconds: float, reason: str = "not yet", value: str = "there"):
    """A probe that is satisfied `seconds` from now."""
    end = time.monotonic() + seconds

    def probe() -> str:
        assert time.monotonic() >= end, reason
        return value

    return probe


def unhealthy(cause: Cause):
    """A probe that always finds the same trouble."""

    def probe() -> None:
        raise Unhealthy(cause)

    return probe


def test_the_first_look_is_at_once() -> None:
    began = time.monotonic()
    assert Wait().until(lambda: 7, 10, what="seven") == 7
    assert time.monotonic() - began < 0.1


def test_it_returns_what_the_probe_returns() -> None:
    heard = Heard()
    assert Wait(watcher=heard).until(after(0.3), 5, what="it") == "there"
    assert [line for line in heard.lines if line[2]] == [("it", "not yet", True)]
    assert heard.over == 1


def test_the_deadline_counts_from_the_request_and_tells_the_story() -> None:
    reasons = iter(["pending", "pending", "pulling"])

    def probe() -> None:
        raise AssertionError(next(reasons, "starting"))

    began = time.monotonic()
    with pytest.raises(Unhealthy) as caught:
        Wait().until(probe, 3.0, what="the endpoint", since=began - 1.5)
    assert time.monotonic() - began < 2.5
    cause = caught.value.cause
    assert (cause.line, cause.certain) == ("the endpoint: not within 3 s", False)
    assert cause.evidence == ("after 2 s: pending", "after 2 s: pulling", "after 2 s: starting")


def test_a_cause_ends_the_wait_once_it_has_held_its_settle_seconds() -> None:
    began = time.monotonic()
    with pytest.raises(Unhealthy, match="crashes"):
        Wait().until(unhealthy(Cause("x", "it crashes", settle=0.5)), 60, what="it")
    assert 0.5 <= time.monotonic() - began < 2


def test_without_settle_seconds_of_its_own_the_setting_holds_times_the_factor() -> None:
    began = time.monotonic()
    with pytest.raises(Unhealthy):
        Wait(factor=0.1, settle=4).until(unhealthy(Cause("x", "it is down")), 600, what="it")
    assert 0.4 <= time.monotonic() - began < 2


def test_nothing_can_mend_it_any_more() -> None:
    began = time.monotonic()
    with pytest.raises(Unhealthy):
        Wait().until(unhealthy(Cause("x", "not found", settle=0)), 600, what="it")
    assert time.monotonic() - began < 0.2


def test_a_cause_that_only_explains_is_told_at_the_deadline() -> None:
    with pytest.raises(Unhealthy, match="429"):
        Wait().until(unhealthy(Cause("x", "429", settle=math.inf)), 0.5, what="it")


def test_what_has_ended_a_wait_of_the_run_need_not_hold_again() -> None:
    """Only where it is the same, and never where it may mend itself."""
    known: set[str] = set()

    def seconds(cause: Cause, settle: float, timeout: float = 60) -> float:
        began = time.monotonic()
        with pytest.raises(Unhealthy):
            Wait(settle=settle, known=known).until(unhealthy(cause), timeout, what="it")
        return time.monotonic() - began

    assert seconds(Cause("a", "no node", alike="taint"), 0.5) >= 0.5
    assert seconds(Cause("b", "no node", alike="taint"), 30) < 5
    assert seconds(Cause("b", "no node", alike="taint", settle=math.inf), 30, 0.5) >= 0.5
    for other in ("selector", ""):
        assert seconds(Cause("c", "no node", alike=other), 0.5) >= 0.5


def test_trouble_that_passes_does_not_end_it() -> None:
    blip = Unhealthy(Cause("blip", "a blip", settle=5))
    looks: list[Exception | None] = [blip, AssertionError("not yet"), blip, AssertionError("not yet"), None]

    def probe() -> str:
        if (trouble := looks.pop(0)) is not None:
            raise trouble
        return "there"

    assert Wait().until(probe, 60, what="it") == "there"


def test_an_api_server_that_is_gone_is_ridden_out_for_a_while() -> None:
    there = after(0.6)

    def probe() -> str:
        try:
            return there()
        except AssertionError:
            raise Unreachable("the API server does not answer") from None

    assert Wait().until(probe, 10, what="it") == "there"


def test_gone_longer_it_is_no_failure_of_the_deployment() -> None:
    def probe() -> None:
        raise Unreachable("the API server does not answer")

    began = time.monotonic()
    with pytest.raises(Unreachable):
        Wait(factor=0.01).until(probe, 60000, what="it")
    assert 0.6 <= time.monotonic() - began < 3


def test_an_error_of_ours_is_not_waited_for() -> None:
    with pytest.raises(KeyError):
        Wait().until(lambda: {}["key"], 10, what="it")
