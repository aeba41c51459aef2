"""Whole runs in any order, with any number of workers: the same verdicts and causes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from dummies import ROOT, Ended
from sandboxes import Sandbox, at_once, judged
from verdicts import agreed, green


def shuffled(folder: Path, seed: str, *arguments: str, **environment: str) -> Ended:
    """A run in an order by chance."""
    return judged(
        folder, "-p", "shuffled", *arguments, PYTHONPATH=f"{ROOT / 'selftests'}", SHUFFLED=seed, **environment
    )


@pytest.mark.prove
def test_green_in_any_order_with_any_number_of_workers(released: Sandbox, tmp_path: Path) -> None:
    four, order = at_once(
        partial(judged, tmp_path / "four", "-n", "4", **released.environment()),
        partial(shuffled, tmp_path / "order", "1", "-n", "2", **released.environment()),
    )
    green(four)
    green(order)
    assert list(four.verdicts) != list(order.verdicts)


def found(run: Ended) -> dict[str, tuple[str, str]]:
    """check id -> verdict and cause, without what is this run's or this endpoint's own."""
    assert run.code == 1, run.out
    checks = {check["id"]: (check["verdict"], str(check["cause"])) for check in run.run["checks"]}
    agreed(run, left=1)  # without that image nobody can look whether the async endpoint's queue is gone
    return {name: (verdict, cause.partition("/")[0]) for name, (verdict, cause) in checks.items()}


@pytest.mark.prove
def test_red_in_any_order_with_any_number_of_workers(released: Sandbox, tmp_path: Path) -> None:
    with released.broken("echo-image-missing"):
        plain, four, order = at_once(
            partial(judged, tmp_path / "plain", **released.environment()),
            partial(judged, tmp_path / "four", "-n", "4", **released.environment()),
            partial(shuffled, tmp_path / "order", "3", **released.environment()),
        )
    assert found(four) == found(order) == found(plain)
    red = {name for name, (verdict, _) in found(plain).items() if verdict in ("fail", "blocked")}
    assert {"preflight/gateway_image_is_pulled", "tier_a/sync_endpoint_serves", "tier_a/sync_task_echoes"} < red
    for name, run in (("plain", plain), ("four", four), ("order", order)):
        released.sweep(tmp_path / name, run)
    again = judged(tmp_path / "plain", "--lf", **released.environment())
    green(again, checks=len(red))
    assert set(again.verdicts) == red
