"""In the middle of waiting: Ctrl-C, a port-forward that breaks, and what is shown meanwhile."""

from __future__ import annotations

import itertools
import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dummies import ROOT, clean_environment
from sandboxes import Sandbox, Underway, judged, sandbox, suite

from seatrial.journal import open_entries

pytestmark = pytest.mark.prove  # test_sweep.py has a run that is ended, and one that is killed

WAITING = "waiting for sync endpoint: "
BACK_AT_THE_PROMPT = 30.0
"""Seconds from Ctrl-C, at the most."""


@pytest.fixture(scope="module")
def slow() -> Iterator[Sandbox]:
    """Its endpoints' pods take 12 s to get ready: longer than what a run does besides."""
    with sandbox("--ready-after", "60") as one:
        yield one


class CtrlC:
    """SIGINT for the whole process group, as a terminal sends it, in the middle of the wait."""

    at = 0.0

    def __call__(self, run: Underway) -> None:
        """Use as `during`."""
        run.await_text(WAITING)
        self.at = time.monotonic()
        os.killpg(run.process.pid, signal.SIGINT)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "n2"])
def test_ctrl_c_removes_what_was_made(slow: Sandbox, tmp_path: Path, workers: tuple[str, ...]) -> None:
    ctrl_c = CtrlC()
    run = judged(tmp_path, *workers, during=ctrl_c, **slow.environment())
    assert time.monotonic() - ctrl_c.at < BACK_AT_THE_PROMPT
    assert run.code == 2, run.out
    assert run.run["exit"] == 2
    assert f"interrupted (Ctrl-C): removing what run {run.run['run']} made" in run.out
    assert "Traceback" not in run.out
    assert run.verdicts["tier_a/sync_task_echoes"] == "error (interrupted)"
    assert run.verdicts["control_plane/healthz"] == "pass"
    assert run.junit["sync_task_echoes"] == "error"
    assert run.run["left"] == [], run.out
    assert [one for one in run.events if one["kind"] == "http" and one["method"] == "POST"], "nothing was made"
    assert slow.left(run.run["run"]) == []


def test_ctrl_c_says_what_is_left_and_what_to_type(slow: Sandbox, tmp_path: Path) -> None:
    """What the builder will make of it one day, nobody knows now: it is swept once the builder has been at it."""
    ctrl_c = CtrlC()
    with slow.broken("builder-scaled-to-zero"):
        run = judged(tmp_path, during=ctrl_c, **slow.environment())
    assert time.monotonic() - ctrl_c.at < BACK_AT_THE_PROMPT
    assert run.code == 2, run.out
    name = f"seatrial-echo-sync-{run.run['run']}"
    assert name in {one["name"] for one in run.run["left"]}
    assert f"LEFT BEHIND    endpoint {name}: deleted before it was built: its objects may still appear" in run.out
    assert re.search(rf"kubectl .* delete \S*deployments\S* -l endpoint_name={name}$", run.out, re.M), run.out
    assert slow.up["token"] not in run.out
    assert slow.up["kube_token"] not in run.out
    slow.sweep(tmp_path, run)
    assert slow.left(run.run["run"]) == []
    assert not [one for one in open_entries(run.events) if one.kind == "endpoint"]


def test_a_port_forward_that_breaks_is_opened_again(slow: Sandbox, tmp_path: Path) -> None:
    """The gateway's only pod is deleted while the endpoint is waited for; the log says each reason once."""

    def break_it(run: Underway) -> None:
        run.await_text(WAITING)
        pods = f"/api/v1/namespaces/{slow.up['namespace']}/pods"
        with slow.kube() as kube:
            found = kube.get(pods, params={"labelSelector": "app=model-engine"}).raise_for_status().json()["items"]
            deleted.extend(pod["metadata"]["name"] for pod in found)
            kube.delete(f"{pods}/{deleted[0]}", params={"gracePeriodSeconds": "0"}).raise_for_status()

    deleted: list[str] = []
    run = judged(tmp_path, "-k", "sync_task_echoes", during=break_it, **slow.environment())
    assert len(deleted) == 1
    assert run.code == 0, run.out
    assert run.verdicts == {"tier_a/sync_task_echoes": "pass"}
    assert "Traceback" not in run.out
    reasons = [line.partition(" s, ")[2] for line in run.out.splitlines() if line.startswith(WAITING)]
    assert len(reasons) > 1
    assert all(one != other for one, other in itertools.pairwise(reasons)), reasons
    assert "\r" not in run.out


def test_a_terminal_shows_one_live_line(slow: Sandbox, tmp_path: Path) -> None:
    here, there = pty.openpty()
    run = subprocess.Popen(
        suite(tmp_path, "-k", "sync_endpoint_serves"),
        cwd=ROOT,
        env=clean_environment() | slow.environment() | {"TERM": "xterm", "COLUMNS": "100"},
        stdin=there,
        stdout=there,
        stderr=there,
        start_new_session=True,
    )
    os.close(there)
    said = b""
    try:
        while read := os.read(here, 1 << 16):
            said += read
    except OSError:  # how Linux tells that the other end of a terminal is closed
        pass
    os.close(here)
    assert run.wait(10) == 0, said
    text = said.decode()
    live = re.findall(r"\r\x1b\[K(waiting for sync endpoint: [^\r\n]*)", text)
    assert len(live) > 3, text
    assert len({line.partition(" s, ")[0] for line in live}) > 2, "the seconds do not run"
    assert max(map(len, live)) < 100
    shown = [line.rpartition("\x1b[K")[2] for line in text.split("\r\n")]
    assert [line for line in shown if "waiting for" in line] == []
    assert "tests/test_tier_a.py " in shown
    assert any(line.startswith("PASS     tier_a/sync_endpoint_serves") for line in shown)
