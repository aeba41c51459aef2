"""What runs: by marker, by name, alone, again, reading only."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest
from rows import gpu
from sandboxes import Sandbox, at_once, judged
from verdicts import CHECKS, NOT_OF_THIS

from seatrial import docs

READ = {"permissions", "namespaces_exist", "named_secrets_exist", "images_are_from_expected_registries"}
READ |= {"target_is_as_declared", "service_account_has_its_role", "service_bus_secret_exists", *gpu.READ}
CONTROL_PLANE = {"healthz", "endpoints_are_listed", "no_credentials_no_entry"}
INFRA = {check.id.partition("/")[2] for check in docs.checks() if check.phase == "infra"}
INFRA_WRITES = {"cacher_redis_lets_it_in"}
ENDPOINT = ("{}_endpoint_is_accepted", "{}_endpoint_serves", "{}_endpoint_is_deleted", "nothing_of_{}_endpoint_is_left")
NO_SYNC = {"task_without_endpoint_is_refused", "failing_task_fails", "cacher_publishes_endpoint"}
NO_SYNC |= {"streaming_task_echoes", *(one.format("streaming") for one in ENDPOINT)}
TIER_A = NO_SYNC | {one.format(kind) for one in ENDPOINT for kind in ("sync", "async")}
TIER_A |= {"sync_task_echoes", "async_task_succeeds", "failing_async_task_is_told", "unknown_async_task_never_succeeds"}
TIER_A |= {"async_endpoint_survives_idle"}


@pytest.mark.parametrize(
    ("arguments", "selected"),
    [
        (("-m", "control_plane or tier_a"), CONTROL_PLANE | TIER_A),
        (("-m", "not writes"), READ | CONTROL_PLANE | (INFRA - INFRA_WRITES)),
        (("-m", "tier_a", "-k", "not sync"), NO_SYNC),
        (("tests/test_tier_a.py::test_sync_task_echoes",), {"sync_task_echoes"}),
    ],
)
def test_collecting_needs_no_setting(tmp_path: Path, arguments: tuple[str, ...], selected: set[str]) -> None:
    run = judged(tmp_path, "--collect-only", "-q", *arguments)
    assert run.code == 0, run.out
    assert {line.partition("::test_")[2] for line in run.out.splitlines() if "::" in line} == selected
    assert not (tmp_path / "runs").exists()


def test_a_phase_alone(released: Sandbox, tmp_path: Path) -> None:
    run = judged(tmp_path, "-m", "control_plane", **released.environment())
    assert run.code == 0, run.out
    assert run.verdicts == {f"control_plane/{name}": "pass" for name in CONTROL_PLANE}
    assert f"== 3 passed, {CHECKS - 3} deselected" in run.out


def test_reading_only_and_a_delete_alone(released: Sandbox, tmp_path: Path) -> None:
    reading, deleting = at_once(
        partial(judged, tmp_path / "reading", "--read-only", **released.environment()),
        partial(judged, tmp_path / "deleting", "-k", "streaming_endpoint_is_deleted", **released.environment()),
    )
    assert reading.code == 0, reading.out
    read = {f"control_plane/{name}" for name in CONTROL_PLANE} | {f"preflight/{name}" for name in READ}
    read |= {f"infra/{name}" for name in INFRA - INFRA_WRITES}
    writes, here = {check.id for check in docs.checks()} - read, read - NOT_OF_THIS
    not_here = dict.fromkeys(writes | (read & NOT_OF_THIS), "not applicable")
    assert reading.verdicts == dict.fromkeys(here, "pass") | not_here
    methods = {event["method"] for event in reading.events if event["kind"] == "http"}
    calls = [event for event in reading.events if event["kind"] == "kube" and "accessreviews" not in event["object"]]
    verbs = {event["verb"] for event in calls}
    assert methods == {"GET"}
    assert verbs <= {"get", "list", "portforward"}, verbs
    assert not [event for event in reading.events if event["kind"] == "journal"]
    (told,) = [part for part in reading.out.split("NOT PROVEN     ") if "this check writes, and the run only" in part]
    assert set(re.findall(r"\w+", told)) >= {name.partition("/")[2] for name in writes}

    assert deleting.code == 0, deleting.out
    assert deleting.verdicts == {"tier_a/streaming_endpoint_is_deleted": "pass"}
    calls = [(one["method"], one["status"]) for one in deleting.events if "/v1/model-endpoints" in one.get("path", "")]
    assert [call for call in calls if call[0] != "GET"][:2] == [("POST", 200), ("DELETE", 200)]
    assert calls.count(("POST", 200)) == calls.count(("DELETE", 200)) == 1
    assert released.left(deleting.run["run"]) == []


def test_what_is_of_another_cloud_makes_nothing(released: Sandbox, tmp_path: Path) -> None:
    """That the release is on AWS is known before there is an endpoint to let idle."""
    run = judged(tmp_path, "-m", "slow", **released.environment())
    assert run.code == 3, run.out
    assert run.verdicts == {"tier_a/async_endpoint_survives_idle": "not applicable"}
    assert "this is about azure, and the release is on aws" in run.out
    assert not [event for event in run.events if event.get("method") == "POST"]
    made = {event["name"].partition(" ")[0] for event in run.events if event["kind"] == "journal"}
    assert made == {"leases.coordination.k8s.io"}


def test_reading_only_may_use_the_current_context(released: Sandbox, tmp_path: Path) -> None:
    text = Path(released.up["kubeconfig"]).read_text()
    other = "contexts:\n- name: other\n  context: {cluster: x, user: x}\n"
    path = tmp_path / "kubeconfig"
    path.write_text(text.replace("contexts:\n", other))
    environment = released.environment() | {"KUBECONFIG": str(path)}
    writing, reading = at_once(
        partial(judged, tmp_path / "writing", **environment),
        partial(judged, tmp_path / "reading", "--read-only", "-k", "healthz", **environment),
    )
    assert writing.code == 4, writing.out
    assert f"--context {released.up['name']}" in writing.out
    assert reading.code == 0, reading.out
