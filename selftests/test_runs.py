"""Whole runs against whole deployments: each contract, each way in, several at a time, whatever they are called."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import yaml
from dummies import Ended
from sandboxes import Sandbox, at_once, judged, sandbox
from verdicts import green

from seatrial import docs

KINDS = ("sync", "async", "streaming")
NEEDS_CLUSTER = (
    "tier_a/cacher_publishes_endpoint",
    *(f"tier_a/nothing_of_{kind}_endpoint_is_left" for kind in KINDS),
    *(check.id for check in docs.checks() if check.phase in ("preflight", "infra")),
)
NEEDS_RELEASED = (
    *("tier_a/failing_task_fails", "tier_a/failing_async_task_is_told"),
    *(f"tier_a/streaming_{what}" for what in ("endpoint_is_accepted", "endpoint_serves", "task_echoes")),
    *("tier_a/streaming_endpoint_is_deleted", "tier_a/nothing_of_streaming_endpoint_is_left"),
)

pytestmark = [pytest.mark.xdist_group("documented"), pytest.mark.timeout(300)]  # the first waits for whole runs


@pytest.fixture(scope="module")
def acme() -> Iterator[Sandbox]:
    """A released one under another name, on a stand-in for Redis."""
    with sandbox("--fullname", "acme", SANDBOX_REDIS="none") as one:
        yield one


judge = partial(judged, timeout=200)


@pytest.fixture(scope="module")
def side_by_side(released: Sandbox, documented: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """Full runs against both contracts, at the same time."""
    folder = tmp_path_factory.mktemp("side-by-side")
    runs = {
        "released": partial(judge, folder / "1", **released.environment()),
        "documented": partial(judge, folder / "2", **documented.environment()),
    }
    return dict(zip(runs, at_once(*runs.values()), strict=True))


@pytest.fixture(scope="module")
def besides(
    released: Sandbox, documented: Sandbox, acme: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Ended]:
    """The same without the cluster, and against acme."""
    folder = tmp_path_factory.mktemp("besides")
    runs = {
        "released-http": partial(judge, folder / "1", "--no-cluster", **released.without_cluster()),
        "documented-http": partial(judge, folder / "2", "--no-cluster", **documented.without_cluster()),
        "acme": partial(judge, folder / "3", **acme.environment()),
    }
    return dict(zip(runs, at_once(*runs.values()), strict=True))


@pytest.mark.parametrize(("name", "not_applicable"), [("released", ()), ("documented", NEEDS_RELEASED)])
def test_green_in_full_side_by_side(side_by_side: dict[str, Ended], name: str, not_applicable: tuple[str, ...]) -> None:
    green(side_by_side[name], *not_applicable)


@pytest.mark.prove
@pytest.mark.parametrize(
    ("name", "not_applicable"),
    [
        ("released-http", NEEDS_CLUSTER),
        ("documented-http", tuple({*NEEDS_RELEASED, *NEEDS_CLUSTER})),
        ("acme", ()),
    ],
)
def test_green_in_full_besides(besides: dict[str, Ended], name: str, not_applicable: tuple[str, ...]) -> None:
    green(besides[name], *not_applicable)


@pytest.mark.prove
def test_a_release_of_any_name_is_found(side_by_side: dict[str, Ended], besides: dict[str, Ended]) -> None:
    found = side_by_side | besides
    for name, release in (("released", "model-engine"), ("documented", "model-engine-gateway"), ("acme", "acme")):
        assert f"release model-engine/{release}, chart model-engine-" in found[name].out


@pytest.mark.prove
def test_red_where_an_endpoint_is_initializing_until_it_serves(documented: Sandbox, tmp_path: Path) -> None:
    """The documented contract has no word for built: that its pods exist is seen in the cluster, so nothing is left."""
    with documented.broken("echo-image-missing"):
        selected = ("-m", "tier_a", "-k", "sync_ and (serves or deleted or left) and not async")
        run = judged(tmp_path, *selected, **documented.environment())
    assert run.code == 1, run.out
    assert run.verdicts == {
        "tier_a/sync_endpoint_serves": "fail",
        "tier_a/sync_endpoint_is_deleted": "pass",
        "tier_a/nothing_of_sync_endpoint_is_left": "pass",
    }
    assert run.run["left"] == [], run.out
    assert documented.left(run.run["run"]) == []


@pytest.mark.prove
def test_acme_has_a_stand_in_for_redis(acme: Sandbox) -> None:
    up = json.loads(Path(acme.up["directory"], "sandbox.json").read_text())
    assert up["notes"][0].startswith("Redis is a stand-in")


@pytest.mark.prove
def test_the_contract_is_learnt_from_the_first_create(released: Sandbox, tmp_path: Path) -> None:
    with released.broken("no-openapi"):
        run = judged(tmp_path, "-k", "failing_task_fails", **released.environment())
    green(run, checks=1)
    creates = [one for one in run.events if (one.get("method"), one.get("path")) == ("POST", "/v1/model-endpoints")]
    assert [one["status"] for one in creates] == [422, 200]


@contextmanager
def second_release(acme: Sandbox, namespace: str) -> Iterator[None]:
    """Another gateway, called beta, in `namespace`."""
    with acme.kube() as kube:
        deployments = "/apis/apps/v1/namespaces/{}/deployments"
        found = kube.get(f"{deployments.format(acme.up['namespace'])}/acme").raise_for_status().json()
        metadata = {"name": "beta", "labels": found["metadata"]["labels"]}
        spec = copy.deepcopy(found["spec"]) | {"replicas": 0}
        body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
        kube.post(deployments.format(namespace), json=body).raise_for_status()
        yield
        kube.delete(f"{deployments.format(namespace)}/beta").raise_for_status()


def without_namespace(acme: Sandbox, folder: Path) -> dict[str, str]:
    """The environment with a kubeconfig whose context names no namespace."""
    config = yaml.safe_load(Path(acme.up["kubeconfig"]).read_text())
    del config["contexts"][0]["context"]["namespace"]
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return acme.environment() | {"KUBECONFIG": str(path)}


@pytest.mark.prove
def test_two_releases_in_a_namespace(acme: Sandbox, tmp_path: Path) -> None:
    with second_release(acme, acme.up["namespace"]):
        several, one = at_once(
            partial(judged, tmp_path / "several", **acme.environment()),
            partial(judged, tmp_path / "one", "--set", "release=acme", "-k", "healthz", **acme.environment()),
        )
    assert several.code == 4, several.out
    assert "ERROR: several releases of Model Engine: model-engine/acme, model-engine/beta " in several.out
    assert "--set release=NAME" in several.out
    green(one, checks=1)


@pytest.mark.prove
def test_two_releases_in_two_namespaces(acme: Sandbox, tmp_path: Path) -> None:
    environment = without_namespace(acme, tmp_path)
    with second_release(acme, acme.up["endpoint_namespace"]):
        several, one = at_once(
            partial(judged, tmp_path / "several", **environment),
            partial(judged, tmp_path / "one", "--namespace", acme.up["namespace"], "-k", "healthz", **environment),
        )
    assert several.code == 4, several.out
    assert "several releases of Model Engine: model-engine/acme, model-engine-endpoints/beta " in several.out
    assert "say which: --namespace" in several.out
    green(one, checks=1)
