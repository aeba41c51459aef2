"""Each fault turns the right checks red, with the right first cause; and each check has a fault that turns it red."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from dummies import ROOT, Ended, clean_environment
from infra_faults import INFRA
from sandboxes import Sandbox, judged, sandbox

# What stands for several checks of one kind.
KINDS = ("sync", "async", "streaming")
ACCEPTED = tuple(f"{kind}_endpoint_is_accepted" for kind in KINDS)
SERVES = tuple(f"{kind}_endpoint_serves" for kind in KINDS)
DELETED = tuple(f"{kind}_endpoint_is_deleted" for kind in KINDS)
NOTHING_LEFT = tuple(f"nothing_of_{kind}_endpoint_is_left" for kind in KINDS)
TASKS = (
    *("sync_task_echoes", "failing_task_fails", "async_task_succeeds", "failing_async_task_is_told"),
    *("streaming_task_echoes", "cacher_publishes_endpoint"),
)
"""The checks that need an endpoint to serve."""
UNDECLARED = {"images_are_from_expected_registries", "target_is_as_declared"}
NOT_APPLICABLE = {
    (): {"embedded_kubeconfig_is_valid", "redis_broker_answers_ping"} | UNDECLARED,
    ("documented",): {"failing_task_fails", "redis_broker_answers_ping"} | UNDECLARED,
}
"""By what the sandbox is, what there is nothing to judge by."""
TO_COME = {
    "autoscaler_runs",
    "autoscaler_iterates",
    "permissions",
    "namespaces_exist",
    "named_secrets_exist",
    "redis_answers_ping",
    "database_answers_select_1",
    "vllm_image_is_pulled",
    "gateway_image_is_pulled",
    "builder_image_is_pulled",
    "forwarder_image_is_pulled",
    *UNDECLARED,
    "sqs_lists_queues",
    "sqs_queue_goes_round",
    "redis_broker_answers_ping",
}


@dataclass(frozen=True)
class Row:
    """What faults, all there at once, do to a run. Check names stand without their phase; whatever is not named passes.

    `fails`: by failing check, in the order of the run, what stands in its line. `select`: what `make test` runs of it,
    as options of pytest; the long proof runs everything. `left`: whether something cannot be removed. Every row is in
    the long proof, a row with `long_proof` there alone. `sign`: what the sandbox calls its first public sign; the
    others' is the fault's name. `words`: what the sandbox is.
    """

    faults: tuple[str, ...]
    fails: Mapping[str, str]
    blocks: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    sign: str = ""
    left: bool = False
    long_proof: bool = False

    @property
    def name(self) -> str:
        return "+".join((*self.faults, *self.words))


def each(checks: tuple[str, ...], line: str) -> dict[str, str]:
    """All of them with the same line."""
    return dict.fromkeys(checks, line)


ROWS = [
    Row(
        ("gateway-down",),
        each(("gateway_runs", "gateway_hpa_can_scale", "healthz"), "the Deployment model-engine is scaled to 0"),
        blocks=(
            *("endpoints_are_listed", "no_credentials_no_entry", "task_without_endpoint_is_refused"),
            "unknown_async_task_never_succeeds",
            *(*ACCEPTED, *SERVES, *TASKS, *DELETED, *NOTHING_LEFT),
        ),
        sign="ScaledToZero",
        select=("-m", "control_plane"),
    ),
    Row(
        ("gateway-open",),
        {"no_credentials_no_entry": "/v1/model-endpoints answered 200, not 401"},
        select=("-m", "control_plane"),
    ),
    Row(
        ("list-not-a-list",),
        each(("endpoints_are_listed", *SERVES, *DELETED), "the gateway answers no list of model_endpoints"),
        blocks=(*TASKS, *NOTHING_LEFT),
        left=True,
        select=("-m", "control_plane or tier_a"),
    ),
    Row(
        ("create-500",),
        each(ACCEPTED, "/v1/model-endpoints answered 500, not 200"),
        blocks=(*SERVES, *TASKS, *DELETED, *NOTHING_LEFT),
        select=("-m", "tier_a"),
    ),
    Row(
        ("echo-image-missing",),
        each(SERVES, "cannot be pulled"),
        blocks=(*TASKS, "nothing_of_async_endpoint_is_left"),  # the probe that looks for its queue runs that image, too
        sign="ErrImagePull",
        select=("-m", "tier_a"),
    ),
    Row(
        ("echo-crash-loop",),
        each(SERVES, "crashes again and again (Error 1)"),
        blocks=TASKS,
        sign="CrashLoopBackOff",
        long_proof=True,
    ),
    Row(
        ("no-node-fits",),
        each(SERVES, "no node can take the pod"),
        blocks=TASKS,
        sign="FailedScheduling",
        long_proof=True,
    ),
    Row(
        ("builder-scaled-to-zero",),
        each(
            ("builder_runs", "builder_is_connected", *SERVES),
            "the Deployment model-engine-endpoint-builder is scaled to 0",
        ),
        blocks=TASKS,
        sign="ScaledToZero",
        left=True,
        long_proof=True,
    ),
    Row(
        ("someone-elses-task",),
        {
            **each(("sync_task_echoes", "streaming_task_echoes", "async_task_succeeds"), "someone-else"),
            "failing_task_fails": "'SUCCESS' == 'FAILURE'",
            "failing_async_task_is_told": "the worker answered 500, and the gateway tells of a success",
        },
        select=("-m", "tier_a"),
    ),
    Row(
        ("sync-failure-with-200",),
        {"sync_task_echoes": "answered HTTP 200, and the task's status is FAILURE"},
        long_proof=True,
    ),
    Row(
        ("success-to-everything",),
        {
            "task_without_endpoint_is_refused": "answered 200",
            "failing_task_fails": "'SUCCESS' == 'FAILURE'",
            "failing_async_task_is_told": "the worker answered 500, and the gateway tells of a success",
            "async_task_succeeds": "assert {} == {'nonce': ",
            "unknown_async_task_never_succeeds": "answered 200",
        },
        select=("-m", "tier_a"),
    ),
    Row(
        ("delete-not-performed",),
        each(DELETED, "the gateway answered the delete of"),
        blocks=NOTHING_LEFT,
        left=True,
        select=("-m", "tier_a"),
    ),
    Row(
        ("delete-leaves-objects",),
        each(NOTHING_LEFT, "left in model-engine-endpoints"),
        left=True,
        select=("-m", "tier_a"),
    ),
    Row(
        ("delete-leaves-queue",),
        {"nothing_of_async_endpoint_is_left": "the queue launch-endpoint-id-end_"},
        select=("-k", "async"),
    ),
    Row(
        ("streaming-answers-nothing",),
        {"streaming_task_echoes": "a stream without an event"},
        select=("-k", "streaming"),
    ),
    Row(
        ("async-success-with-500",),
        {"async_task_succeeds": "the task's status is SUCCESS with status_code 500"},
        select=("-k", "async"),
    ),
    Row(
        ("async-never-done",),
        {"async_task_succeeds": "a worker has taken 1 from its queue, and does not finish"},
        blocks=("failing_async_task_is_told",),
        select=("-k", "async", "--set", "async_task_timeout=40"),
        long_proof=True,
    ),
    Row(
        ("cacher-scaled-to-zero",),
        {"cacher_publishes_endpoint": "the Deployment model-engine-cacher is scaled to 0"},
        select=("-k", "cacher"),
        sign="ScaledToZero",
    ),
]


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[Callable[[tuple[str, ...]], Sandbox]]:
    """One sandbox of a kind for all rows of this worker: each heals what it broke."""
    with ExitStack() as stack:
        yield cache(lambda words: stack.enter_context(sandbox(*words)))


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=row.name, marks=[pytest.mark.prove] if row.long_proof else []) for row in ROWS]
)
def test_fault(sandboxes: Callable[[tuple[str, ...]], Sandbox], tmp_path: Path, row: Row) -> None:
    as_told(row, run_of(sandboxes(row.words), tmp_path, row, *row.select))


def run_of(one: Sandbox, folder: Path, row: Row, *select: str) -> Ended:
    """A run while the row's faults are there."""
    with one.broken(*row.faults):
        return judged(folder, *select, **one.environment())


def as_told(row: Row, run: Ended) -> None:
    """The run ended as the row says, as far as it selected what the row names."""
    checks = {check["id"].partition("/")[2]: check for check in run.run["checks"]}
    expected = dict.fromkeys(NOT_APPLICABLE[row.words], "not applicable")
    expected |= dict.fromkeys(row.blocks, "blocked") | dict.fromkeys(row.errors, "error")
    expected |= dict.fromkeys(row.fails, "fail")
    verdicts = {name: check["verdict"] for name, check in checks.items() if check["verdict"] != "pass"}
    assert verdicts == {name: verdict for name, verdict in expected.items() if name in checks}, run.out
    for name, line in row.fails.items():
        assert name not in checks or line in checks[name]["line"], run.out
    assert {checks[name]["line"] for name in row.blocks if name in checks} <= {
        checks[name]["line"] for name in row.fails if name in checks
    }, run.out
    red = any(name in checks for name in row.fails)
    assert (run.code, bool(run.run["left"])) == (1 if red else 3, row.left), run.out
    assert "Traceback" not in run.out


def test_every_check_has_a_fault() -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q"]
    listed = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True).stdout
    checks = {line.partition("::test_")[2] for line in listed.splitlines() if "::" in line}
    assert checks, listed
    red = {name for row in (*ROWS, *INFRA) if not row.long_proof for name in row.fails}
    assert checks - red - TO_COME == set()
