"""Every fault with the stand-ins' own times, and how long after its first public sign the verdict is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import test_faults
from prove_results import proven
from rows import ROWS
from rows.row import Row
from sandboxes import Sandbox, sandbox

from seatrial.record import Event, events

pytestmark = [pytest.mark.prove, pytest.mark.timeout(400)]

LIMIT = 20.0
"""Seconds from the first public sign to the verdict, where anything but the time tells it."""
RED = [row for row in ROWS if row.fails and row.faults]
TOUCHES_REDIS = [
    row for row in RED if any("redis" in fault for fault in row.faults) and "redis-broker" not in row.words
]
"""They are repeated where a stand-in is Redis; it cannot be a broker."""

Start = Callable[[tuple[str, ...]], Sandbox]


class FullScale(Sandbox):
    """A sandbox whose timers are not shortened, so that a run against it does not shorten its waits either."""

    def environment(self) -> dict[str, Any]:
        """As ever, and what `judged` takes beside it."""
        return {**super().environment(), "scale": "1"}


@pytest.fixture(scope="session")
def full_scale() -> Iterator[Start]:
    """One sandbox of a kind for all rows of a worker, once a row asks for it."""
    with ExitStack() as stack:
        yield cache(lambda words: FullScale(stack.enter_context(sandbox(*words, scale="1")).up))


@pytest.fixture(scope="session")
def without_redis() -> Iterator[Start]:
    """The same on the RESP stand-in, with timers shortened: it is for the verdicts, not the times."""
    with ExitStack() as stack:
        yield cache(lambda words: stack.enter_context(sandbox(*words, SANDBOX_REDIS="none")))


def rows(some: list[Row]) -> pytest.MarkDecorator:
    """Those of a sandbox of a kind of their own stay on one worker, which starts it once."""
    marks = {row.words: [pytest.mark.xdist_group("+".join(row.words))] if row.words else [] for row in some}
    return pytest.mark.parametrize("row", [pytest.param(row, id=row.name, marks=marks[row.words]) for row in some])


@rows(RED)
def test_fault_at_full_scale(full_scale: Start, tmp_path: Path, row: Row) -> None:
    with proven(f"fault/{row.name}") as result:
        one = full_scale(row.words)
        before = len(one.signs())
        run = test_faults.run_of(one, tmp_path, row, *row.select)
        test_faults.as_told(row, run)
        [record] = (tmp_path / "runs").iterdir()
        happened = list(events(record))
        sign = row.sign or row.faults[0]
        shown = next(line["time"] for line in one.signs()[before:] if line["sign"] == sign)
        verdict = next(
            event for event in happened if event["kind"] == "phase" and event["verdict"] in ("fail", "blocked")
        )
        asked = max(shown, looked_for(happened, row))
        result |= {"sign": sign, "check": verdict["check"], "line": verdict["line"]}
        result["run_seconds"] = round(happened[-1]["time"] - happened[0]["time"], 1)
        result["seconds"] = round(verdict["time"] - asked, 1)
        late = f"the verdict came {result['seconds']} s after the sign, and not within {LIMIT:g} s"
        assert row.at_timeout or result["seconds"] <= LIMIT, late


def looked_for(happened: list[Event], row: Row) -> float:
    """When the run could first have met a fault that was there before it: the create request, else its start."""
    if next(iter(row.fails)) == "sync_endpoint_serves":
        posts = (one for one in happened if one["kind"] == "http" and one["method"] == "POST")
        created = next(one for one in posts if one["path"] == "/v1/model-endpoints")
        return float(created["time"] - created["ms"] / 1000)
    return float(happened[0]["time"])


@rows(TOUCHES_REDIS)
def test_fault_without_a_real_redis(without_redis: Start, tmp_path: Path, row: Row) -> None:
    with proven(f"stand-in/{row.name}"):
        test_faults.as_told(row, test_faults.run_of(without_redis(row.words), tmp_path, row, *row.select))
