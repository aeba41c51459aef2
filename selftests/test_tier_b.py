"""An LLM endpoint in runs of the suite: GPUs that others use, what is kept and removed, and runs that are ended."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from dummies import Ended
from rows.llm import BEYOND, CHATS, LLM_ACCEPTED, TIER_B
from runner_account import Document, runner
from sandboxes import Sandbox, Underway, judged, sandbox

pytestmark = [pytest.mark.prove, pytest.mark.timeout(600)]

ROUTE = "/v1/llm/model-endpoints"
WAITING = "waiting for LLM endpoint: "
IN_USE = "gpus-in-use"
LONGEST = 300.0
"""Seconds for a run."""


@pytest.fixture(scope="module")
def one() -> Iterator[Sandbox]:
    """Two nodes with two GPUs each."""
    with sandbox("nvidia") as found:
        yield found


def created(run: Ended) -> list[int]:
    """The statuses of all creates of LLM endpoints."""
    asked = [each for each in run.events if each["kind"] == "http" and each["method"] == "POST"]
    return [each["status"] for each in asked if each["path"] == ROUTE]


def test_gpus_that_others_use_are_an_error_and_nothing_is_made(one: Sandbox, tmp_path: Path) -> None:
    with one.broken(IN_USE):
        run = judged(tmp_path, "-m", "tier_b", timeout=LONGEST, **one.environment())
    assert run.code == 3, run.out
    assert run.verdicts == {f"tier_b/{name}": "error (busy)" for name in TIER_B}, run.out
    assert "held by research/training-gpu-1 (2), research/training-gpu-2 (2)" in run.out
    assert "--gpu-wait SECONDS" in run.out
    assert created(run) == []
    assert run.run["left"] == []


def test_who_uses_them_may_be_hidden_from_us(one: Sandbox, tmp_path: Path) -> None:
    def but_for_pods(document: Document) -> bool:
        for rule in document.get("rules") or () if document["kind"] == "ClusterRole" else ():
            rule["resources"] = [each for each in rule["resources"] if each != "pods"] or ["nothing"]
        return True

    with one.broken(IN_USE), runner(one, tmp_path / "kubeconfig", but_for_pods) as environment:
        run = judged(tmp_path / "run", "-m", "tier_b", timeout=LONGEST, **environment)
    assert run.verdicts[f"tier_b/{LLM_ACCEPTED}"] == "pass", run.out
    assert run.verdicts["tier_b/llm_endpoint_serves"] == "error (busy)", run.out
    assert "all nvidia.com/gpu that would do are in use, no right to see by whom" in run.out
    assert one.left(run.run["run"]) == []


def test_balloons_are_named_with_what_makes_them_give_way(one: Sandbox, tmp_path: Path) -> None:
    with one.broken("balloons"):
        busy = judged(tmp_path / "busy", "-m", "tier_b", timeout=LONGEST, **one.environment())
        remedy = re.search(r"overlays: (\{model_engine/released/llm_endpoint: \{high_priority: true\}\})", busy.out)
        assert set(busy.verdicts.values()) == {"error (busy)"}, busy.out
        assert remedy, busy.out
        assert created(busy) == []
        given = ("--set", f"overlays={remedy[1]}")
        served = judged(tmp_path / "served", "-m", "tier_b", *given, timeout=LONGEST, **one.environment())
        with one.kube() as kube:
            events = kube.get("/api/v1/events").raise_for_status().json()["items"]
    assert served.verdicts == {f"tier_b/{name}": "pass" for name in TIER_B}, served.out
    gone = [event["involvedObject"]["name"] for event in events if event["reason"] == "Preempted"]
    assert [name.startswith("model-engine-balloon-") for name in gone] == [True]


def test_what_is_kept_is_spoken_to_and_swept(one: Sandbox, tmp_path: Path) -> None:
    kept = judged(tmp_path / "kept", "--keep", "-k", "llm_endpoint_serves", timeout=LONGEST, **one.environment())
    name = f"seatrial-llm-{kept.run['run']}"
    assert kept.verdicts == {"tier_b/llm_endpoint_serves": "pass"}, kept.out
    again = judged(tmp_path / "again", "--endpoint", name, "-m", "tier_b", timeout=LONGEST, **one.environment())
    spoken = {f"tier_b/{check}" for check in ("llm_endpoint_serves", *CHATS)}
    others = {f"tier_b/{check}" for check in TIER_B} - spoken
    assert again.verdicts == dict.fromkeys(spoken, "pass") | dict.fromkeys(others, "not applicable"), again.out
    assert name in one.listed()
    one.sweep(tmp_path / "kept", kept)
    assert one.left(kept.run["run"]) == []


@pytest.mark.parametrize("way", [signal.SIGTERM, signal.SIGKILL], ids=["ended", "killed"])
def test_a_run_that_does_not_get_to_its_end(one: Sandbox, tmp_path: Path, way: signal.Signals) -> None:
    def end(run: Underway) -> None:
        run.await_text(WAITING)
        os.kill(run.process.pid, way)

    run = judged(tmp_path, "-m", "tier_b", during=end, timeout=LONGEST, **one.environment())
    if way is signal.SIGTERM:
        assert run.code == 2, run.out
        assert run.run["left"] == [], run.out
    else:
        (record,) = (tmp_path / "runs").glob("*")
        run.run["run"] = record.name
        assert one.left(record.name)
        one.sweep(tmp_path, run)
    assert one.left(run.run["run"]) == []


def test_the_record_says_what_was_asked_and_by_which_contract(tmp_path: Path) -> None:
    with sandbox("documented", "nvidia") as documented:
        run = judged(tmp_path, "-m", "tier_b", timeout=LONGEST, **documented.environment())
    assert run.code == 0, run.out
    assert set(run.verdicts.values()) == {"pass"}, run.out
    assert created(run) == [200]
    assert set(run.verdicts) == {f"tier_b/{name}" for name in (LLM_ACCEPTED, *BEYOND)}
    assert "ended with [DONE]" in run.out
