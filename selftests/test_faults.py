"""Each fault turns the right checks red, with the right first cause; and each check has a fault that turns it red."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from dummies import ROOT, clean_environment
from sandboxes import Sandbox, judged, sandbox

SERVING = ("sync_task_echoes", "failing_task_fails")
"""The checks that need the sync endpoint to serve."""


@dataclass(frozen=True)
class Row:
    """What a fault does to a full run. Check names stand without their phase; whatever is not named passes.

    `cause` stands in the line of the first failed check, `left`: whether something
    cannot be removed. Every row is in the long proof, a row with `long_proof` there alone.
    """

    fault: str
    fails: tuple[str, ...]
    cause: str
    blocks: tuple[str, ...] = ()
    left: bool = False
    long_proof: bool = False


ROWS = [
    Row(
        "gateway-down",
        ("healthz",),
        "the Deployment model-engine is scaled to 0",
        blocks=(
            "endpoints_are_listed",
            "no_credentials_no_entry",
            "sync_endpoint_is_accepted",
            "sync_endpoint_serves",
            "sync_task_echoes",
            "task_without_endpoint_is_refused",
            "failing_task_fails",
            "sync_endpoint_is_deleted",
            "nothing_of_sync_endpoint_is_left",
        ),
    ),
    Row("gateway-open", ("no_credentials_no_entry",), "/v1/model-endpoints answered 200, not 401"),
    Row(
        "list-not-a-list",
        ("endpoints_are_listed", "sync_endpoint_serves", "sync_endpoint_is_deleted"),
        "the gateway answers no list of model_endpoints",
        blocks=(*SERVING, "nothing_of_sync_endpoint_is_left"),
        left=True,
    ),
    Row(
        "create-500",
        ("sync_endpoint_is_accepted",),
        "/v1/model-endpoints answered 500, not 200",
        blocks=("sync_endpoint_serves", *SERVING, "sync_endpoint_is_deleted", "nothing_of_sync_endpoint_is_left"),
    ),
    Row(
        "echo-image-missing",
        ("sync_endpoint_serves",),
        "cannot be pulled",
        blocks=SERVING,
    ),
    Row("echo-crash-loop", ("sync_endpoint_serves",), "crashes again and again (Error 1)", blocks=SERVING),
    Row("no-node-fits", ("sync_endpoint_serves",), "no node can take the pod", blocks=SERVING, long_proof=True),
    Row(
        "builder-scaled-to-zero",
        ("sync_endpoint_serves",),
        "the Deployment model-engine-endpoint-builder is scaled to 0",
        blocks=SERVING,
        left=True,
    ),
    Row("sync-someone-elses-body", ("sync_task_echoes", "failing_task_fails"), "someone-else"),
    Row(
        "sync-failure-with-200",
        ("sync_task_echoes",),
        "answered HTTP 200, and the task's status is FAILURE",
        long_proof=True,
    ),
    Row(
        "sync-success-to-everything",
        ("task_without_endpoint_is_refused", "failing_task_fails"),
        "answered 200",
    ),
    Row(
        "delete-not-performed",
        ("sync_endpoint_is_deleted",),
        "the gateway answered the delete of",
        blocks=("nothing_of_sync_endpoint_is_left",),
        left=True,
    ),
    Row("delete-leaves-objects", ("nothing_of_sync_endpoint_is_left",), "left in model-engine-endpoints", left=True),
]


@pytest.fixture(scope="module")
def released() -> Iterator[Sandbox]:
    """One sandbox for all rows of this worker: each heals what it broke."""
    with sandbox() as one:
        yield one


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=row.fault, marks=[pytest.mark.prove] if row.long_proof else []) for row in ROWS]
)
def test_fault(released: Sandbox, tmp_path: Path, row: Row) -> None:
    with released.broken(row.fault):
        run = judged(tmp_path, **released.environment())
    red = {check["id"].partition("/")[2]: check for check in run.run["checks"] if check["verdict"] != "pass"}
    verdicts = {name: check["verdict"] for name, check in red.items()}
    assert verdicts == dict.fromkeys(row.blocks, "blocked") | dict.fromkeys(row.fails, "fail"), run.out
    first = red[next(check for check in red if check in row.fails)]
    assert row.cause in first["line"], run.out
    assert {check["line"] for name, check in red.items() if name in row.blocks} <= {
        red[name]["line"] for name in row.fails
    }, run.out
    assert (run.code, bool(run.run["left"])) == (1, row.left), run.out
    assert "Traceback" not in run.out


def test_every_check_has_a_fault() -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q"]
    listed = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True).stdout
    checks = {line.partition("::test_")[2] for line in listed.splitlines() if "::" in line}
    assert checks, listed
    assert checks - {name for row in ROWS for name in row.fails} == {"permissions"}  # never red: see test_permissions
