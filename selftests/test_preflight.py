"""Pre-flight before an install, on namespaces with nothing in them: what is judged, by what, and what is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import yaml
from rows.gpu import ON_NODES
from rows.row import SERVICE_BUS
from sandboxes import Sandbox, at_once, judged

pytestmark = pytest.mark.xdist_group("empty")

PASSWORD = "swordfish-of-the-cache"
KINDS = ("pods", "secrets")
REGISTRIES, REDIS = "images_are_from_expected_registries", "redis_answers_ping"
UNDECLARED = {REGISTRIES, "target_is_as_declared", *ON_NODES}
OF_OTHERS = {"redis_broker_answers_ping", *SERVICE_BUS}
NOT_YET = {"sqs_lists_queues", "sqs_queue_goes_round", "sqs_region_is_the_releases", "service_account_has_its_role"}
PROVEN = {
    *("permissions", "namespaces_exist", "named_secrets_exist", REDIS, "database_answers_select_1"),
    *("vllm_image_is_pulled", "gateway_image_is_pulled", "builder_image_is_pulled", "forwarder_image_is_pulled"),
}


@pytest.fixture
def empty(deployed: Callable[..., Sandbox]) -> Sandbox:
    """Namespaces and outside services, and the values file for an install."""
    return deployed("empty")


def values(empty: Sandbox) -> str:
    return f"--values={empty.up['values']}"


def left(empty: Sandbox, run: str) -> list[str]:
    """Pods and Secrets of a run that are not on their way out."""
    paths = [
        f"/api/v1/namespaces/{empty.up[key]}/{kind}" for key in ("namespace", "endpoint_namespace") for kind in KINDS
    ]
    with empty.kube() as kube:
        found = [one["metadata"] for path in paths for one in kube.get(path).raise_for_status().json()["items"]]
    return [one["name"] for one in found if run in one["name"] and "deletionTimestamp" not in one]


def verdicts(*checks: str, verdict: str) -> dict[str, str]:
    return {f"preflight/{name}": verdict for name in checks}


def test_an_install_may_begin(empty: Sandbox, tmp_path: Path) -> None:
    judge = partial(judged, **empty.environment())
    phase, bare = at_once(
        partial(judge, tmp_path / "phase", "-m", "preflight", values(empty)), partial(judge, tmp_path / "bare")
    )
    assert phase.code == 0, phase.out
    nothing = verdicts(*NOT_YET, *UNDECLARED, *OF_OTHERS, verdict="not applicable")
    assert phase.verdicts == verdicts(*PROVEN, verdict="pass") | nothing
    assert "not applicable before the install: the service account model-engine is not there" in phase.out
    assert "asked under the service account default: model-engine is not there before the install" in phase.out
    assert phase.run["left"] == []
    assert left(empty, phase.run["run"]) == []

    assert bare.code == 1, bare.out
    assert (
        "\nno release here; what an install will stand on is judged by -m preflight, fed by --values=FILE\nrun "
        in bare.out
    )
    assert bare.verdicts[f"preflight/{REDIS}"] == "error (settings)"
    assert bare.verdicts["control_plane/healthz"] == "blocked"


def test_what_the_values_name_and_nobody_made(empty: Sandbox, tmp_path: Path) -> None:
    address = empty.up["redis_url"].replace("//", f"//:{PASSWORD}@")
    own = {
        "secrets": {"kubernetesDatabaseSecretName": "nobody-made-it"},
        "imagePullSecrets": [{"name": "mirror"}],
        "config": {"values": {"launch": {"endpoint_namespace": "nowhere", "cache_redis_aws_url": address}}},
    }
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(own))
    run = judged(tmp_path, "-m", "preflight", values(empty), f"--values={path}", **empty.environment())
    assert run.code == 1, run.out
    assert run.verdicts["preflight/namespaces_exist"] == "fail"
    assert "there is no namespace nowhere, which is to hold its endpoints" in run.out
    assert run.verdicts["preflight/named_secrets_exist"] == "fail"
    assert "the Secret nobody-made-it does not exist in namespace model-engine" in run.out
    assert run.verdicts["preflight/database_answers_select_1"] == "blocked"
    assert run.verdicts["preflight/vllm_image_is_pulled"] == "blocked"
    assert "the release gives a password to Redis at" in run.out
    assert left(empty, run.run["run"]) == []
    assert PASSWORD not in run.out + json.dumps(run.run) + json.dumps(run.events)


def test_an_image_of_ours_and_images_from_elsewhere(empty: Sandbox, tmp_path: Path) -> None:
    arguments = ("--set", "probe_image=registry.local/nobody:1", "--set", "expect={registries: [registry.example]}")
    run = judged(tmp_path, "-k", f"{REDIS} or {REGISTRIES}", values(empty), *arguments, **empty.environment())
    assert run.code == 1, run.out
    assert run.verdicts == {f"preflight/{REDIS}": "error (tool)", f"preflight/{REGISTRIES}": "fail"}
    assert "the image registry.local/nobody:1 cannot be pulled; it is the one that our probes run" in run.out
    assert "3 of 3 images are from elsewhere: registry.local/model-engine:" in run.out


def test_a_policy_that_may_stop_the_probe_alone(empty: Sandbox, tmp_path: Path) -> None:
    lets = {"podSelector": {"matchExpressions": [{"key": "role", "operator": "NotIn", "values": ["probe"]}]}}
    policy = {"metadata": {"name": "deny"}, "spec": {**lets, "policyTypes": ["Egress"], "egress": []}}
    path = f"/apis/networking.k8s.io/v1/namespaces/{empty.up['namespace']}/networkpolicies"
    judge = partial(judged, timeout=60, **empty.environment())
    labelled = "overlays={probe/pod: {metadata: {labels: {role: probe}}}}"
    with empty.kube() as kube:
        kube.post(path, json=policy).raise_for_status()
        stopped, let = at_once(
            partial(judge, tmp_path / "stopped", "-k", REDIS, values(empty)),
            partial(judge, tmp_path / "let", "-k", REDIS, values(empty), "--set", labelled),
        )
        kube.delete(f"{path}/deny").raise_for_status()
    assert stopped.verdicts == {f"preflight/{REDIS}": "error (unreachable)"}, stopped.out
    assert "perhaps only the probe is blocked, by the policy model-engine/deny" in stopped.out
    assert let.code == 0, let.out


def test_labels_that_a_service_selects(empty: Sandbox, tmp_path: Path) -> None:
    service = {"metadata": {"name": "frontend"}, "spec": {"selector": {"app": "frontend"}, "ports": [{"port": 80}]}}
    path = f"/api/v1/namespaces/{empty.up['namespace']}/services"
    labelled = "overlays={probe/pod: {metadata: {labels: {app: frontend, role: probe}}}}"
    with empty.kube() as kube:
        kube.post(path, json=service).raise_for_status()
        run = judged(tmp_path, "-k", REDIS, values(empty), "--set", labelled, **empty.environment())
        kube.delete(f"{path}/frontend").raise_for_status()
    assert run.verdicts == {f"preflight/{REDIS}": "error (settings)"}, run.out
    assert "our pod would be taken for one of services model-engine/frontend" in run.out
    assert left(empty, run.run["run"]) == []


def test_asked_from_this_machine(empty: Sandbox, tmp_path: Path) -> None:
    asked = f"{REDIS} or database_answers_select_1"
    run = judged(tmp_path, "-k", asked, values(empty), "--probe-from", "runner", **empty.environment())
    assert run.code == 0, run.out
    assert run.out.count("answers to this machine") == 2
    assert not [
        one for one in run.events if one["kind"] == "kube" and one["verb"] == "create" and "pods" in one["object"]
    ]
