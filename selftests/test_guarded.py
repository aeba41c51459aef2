"""Clusters that guard themselves: admission, injected sidecars, network policies; what our own pods meet there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from dummies import ROOT, Ended, clean_environment
from kube_proxy import Act, Exchange, KubeProxy, said
from sandboxes import Sandbox, judged
from scripted import Spoken

ASKED = ("-k", "redis_answers_ping")
PODS = "^POST .*/pods$"
POLICIES = "/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"


def probed(released: Sandbox, folder: Path, act: Act, *arguments: str) -> Ended:
    """A run that asks from one probe pod; `act` is what becomes of the request to make it."""
    folder.mkdir(parents=True, exist_ok=True)
    with KubeProxy(released.up["kube_url"]) as proxy:
        proxy.on(PODS, act)
        config = proxy.kubeconfig(released.up["kubeconfig"], folder / "kubeconfig")
        environment = released.environment() | {"KUBECONFIG": config}
        run = judged(folder / "run", *ASKED, *arguments, **environment)
    assert pods(released, run) == []
    return run


def pods(released: Sandbox, run: Ended) -> list[str]:
    """Pods of the run that are there, and not on their way out."""
    path = f"/api/v1/namespaces/{released.up['namespace']}/pods?labelSelector=seatrial.dev/run={run.run['run']}"
    with released.kube() as kube:
        found = [one["metadata"] for one in kube.get(path).raise_for_status().json()["items"]]
    return [one["name"] for one in found if "deletionTimestamp" not in one]


def labelled(exchange: Exchange) -> None:
    """An admission policy of a company's own."""
    if "team" in json.loads(exchange.spoken.body)["metadata"]["labels"]:
        exchange.pass_on()
    else:
        why = 'admission webhook "policies.example" denied the request: the label team is required'
        said(403, "Forbidden", why)(exchange)


def test_a_policy_that_refuses_our_pod_is_no_failure(released: Sandbox, tmp_path: Path) -> None:
    """The report says what to set, and with that the check is judged."""
    run = probed(released, tmp_path / "plain", labelled)
    assert run.verdicts == {"preflight/redis_answers_ping": "error (admission)"}, run.out
    assert run.code == 3
    assert "denied the request: the label team is required" in run.out
    assert "overlays, probe/pod (labels, annotations" in run.out

    overlay = "overlays={probe/pod: {metadata: {labels: {team: infra}}}}"
    run = probed(released, tmp_path / "labelled", labelled, "--set", overlay)
    assert run.verdicts == {"preflight/redis_answers_ping": "pass"}, run.out


def with_sidecar(exchange: Exchange) -> None:
    """A mesh puts a proxy beside every container; nobody ends it when the other has done its work."""
    pod = json.loads(exchange.spoken.body)
    own = pod["spec"]["containers"][0]
    forever = ["python", "-c", "import time; time.sleep(600)"]
    pod["spec"]["containers"].append({"name": "istio-proxy", "image": own["image"], "command": forever})
    body = json.dumps(pod).encode()
    exchange = replace(exchange, spoken=Spoken(exchange.spoken.head, body, exchange.spoken.over))
    exchange.pass_on(replaced={"Content-Length": str(len(body))})


@pytest.mark.prove
def test_a_sidecar_that_never_ends_is_not_waited_for(released: Sandbox, tmp_path: Path) -> None:
    run = probed(released, tmp_path, with_sidecar)
    assert run.verdicts == {"preflight/redis_answers_ping": "pass"}, run.out
    assert run.code == 0


@contextmanager
def default_deny(released: Sandbox) -> Iterator[None]:
    """No pod of the release's namespace may connect to anybody, but those of the product."""
    path = POLICIES.format(namespace=released.up["namespace"])
    product = {"matchExpressions": [{"key": "app", "operator": "Exists"}]}
    policies = {
        "default-deny": {"podSelector": {}, "policyTypes": ["Egress"]},
        "allow-product": {"podSelector": product, "policyTypes": ["Egress"], "egress": [{}]},
    }
    with released.kube() as kube:
        try:
            for name, spec in policies.items():
                kube.post(path, json={"metadata": {"name": name}, "spec": spec}).raise_for_status()
            yield
        finally:
            for name in policies:
                kube.delete(f"{path}/{name}")


@pytest.mark.prove
def test_a_network_policy_that_stops_only_the_probe(released: Sandbox, tmp_path: Path) -> None:
    """What hangs for our pod need not hang for the product: that is an error, and never Redis' failure."""
    with default_deny(released):
        run = judged(tmp_path / "plain", *ASKED, **released.environment())
        assert run.verdicts == {"preflight/redis_answers_ping": "error (unreachable)"}, run.out
        assert "default-deny" in run.out
        overlay = "overlays={probe/pod: {metadata: {labels: {app: probe-of-ours}}}}"
        run = judged(tmp_path / "labelled", *ASKED, "--set", overlay, **released.environment())
    assert run.verdicts == {"preflight/redis_answers_ping": "pass"}, run.out


@pytest.mark.prove
def test_labels_of_the_product_are_refused(released: Sandbox, tmp_path: Path) -> None:
    """With them the gateway's Service would send requests to our probe."""
    overlay = "overlays={probe/pod: {metadata: {labels: {app: model-engine}}}}"
    run = judged(tmp_path, *ASKED, "--set", overlay, **released.environment())
    assert run.verdicts == {"preflight/redis_answers_ping": "error (settings)"}, run.out
    assert "our pod would be taken for one of services model-engine/model-engine" in run.out


@pytest.mark.parametrize(
    ("expect", "line"),
    [
        ("{cloud: aws, gpu: none, products: model_engine}", ""),
        ("{cloud: azure}", "declared azure, found aws (ConfigMap model-engine/model-engine-service-config)"),
        ("{gpu: nvidia>=1}", "declared nvidia>=1, found 0"),
    ],
)
def test_what_is_declared_must_be_there(released: Sandbox, tmp_path: Path, expect: str, line: str) -> None:
    run = judged(tmp_path, "-k", "as_declared", "--set", f"expect={expect}", **released.environment())
    assert run.verdicts == {"preflight/target_is_as_declared": "fail" if line else "pass"}, run.out
    assert line in run.out


def listed(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "seatrial", "images", *arguments]
    return subprocess.run(command, cwd=ROOT, env=clean_environment() | environment, capture_output=True, text=True)


def test_every_image_that_a_run_needs_is_listed(released: Sandbox, tmp_path: Path) -> None:
    """From the release, and the same before there is one, from its values."""
    installed = listed(**released.environment())
    assert installed.returncode == 0, installed.stderr
    images = dict(line.split("  ", 1) for line in installed.stdout.splitlines())
    assert set(images) >= {released.up["image"], released.up["vllm_image"]}
    assert {"the release's gateway", "our echo endpoints", "our probe pods"} <= {
        one.strip() for one in images[released.up["image"]].split(",")
    }
    before = listed("--no-cluster", "--values", released.up["values"], GATEWAY_URL="http://127.0.0.1:1")
    assert before.returncode == 0, before.stderr
    assert {line.split()[0] for line in before.stdout.splitlines()} <= set(images)
    nothing = listed("--no-cluster", GATEWAY_URL="http://127.0.0.1:1")
    assert nothing.returncode == 3
    assert "nothing says which" in nothing.stderr
    assert "Traceback" not in nothing.stderr
