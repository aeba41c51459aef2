"""What the sandbox may be, and what may happen under a run, without turning anything red; more of it is in rows/."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from dummies import Ended
from sandboxes import Sandbox, Underway, judged, sandbox
from verdicts import agreed

from sandbox import handle
from sandbox.__main__ import all_faults

pytestmark = pytest.mark.prove


@pytest.fixture(scope="module")
def released() -> Iterator[Sandbox]:
    """One sandbox for all conditions: each ends what it began."""
    with sandbox() as one:
        yield one


@pytest.mark.timeout(300)
@pytest.mark.parametrize("words", [("--gateways", "4"), ("--fullname", "llm-engine")], ids=" ".join)
def test_nothing_is_red_where_the_sandbox_is(tmp_path: Path, words: tuple[str, ...]) -> None:
    with sandbox(*words) as one:
        nothing_red(judged(tmp_path, timeout=200, **one.environment()))


def test_a_pool_that_scales_from_zero_is_waited_for(released: Sandbox, tmp_path: Path) -> None:
    one = handle.load(released.up["name"])
    pool = all_faults()["pool-at-zero"]

    def scales(run: Underway) -> None:
        run.await_text("test_tier_a.py")
        asyncio.run(pool.heal(one))

    asyncio.run(pool.break_(one))
    select = ("-m", "control_plane or tier_a")
    nothing_red(judged(tmp_path, *select, during=scales, timeout=200, **released.environment()))


def test_an_upgrade_in_mid_run_makes_what_was_judged_across_it_an_error(released: Sandbox, tmp_path: Path) -> None:
    one = handle.load(released.up["name"])

    def upgraded(run: Underway) -> None:
        run.await_text("test_tier_a.py")
        asyncio.run(all_faults()["helm-upgrade"].break_(one))

    run = judged(tmp_path, during=upgraded, timeout=200, **released.environment())
    reasons = {check["reason"] for check in run.run["checks"] if check["verdict"] == "error"}
    assert (run.code, reasons) == (3, {"changed"}), run.out
    assert "pass" in {check["verdict"] for check in run.run["checks"]}, run.out


def nothing_red(run: Ended) -> None:
    """Green, whatever there was nothing to judge of."""
    assert set(agreed(run).values()) <= {"pass", "not applicable"}, run.out
    assert run.code == 0, run.out
