"""What is under test must not change under a run: an upgrade in the middle of it, and what is none."""

from __future__ import annotations

import copy
import re
import time
from pathlib import Path

import pytest
from api_server import write_config
from dummies import Suite
from sandboxes import Underway, judged, sandbox

from seatrial.changed import difference
from seatrial.kube import Kube
from seatrial.model_engine.identity import RESTARTED, identity
from seatrial.resources import DEPLOYMENTS, SECRETS
from seatrial.settings import Settings


def test_a_change_names_old_and_new() -> None:
    assert difference("a 1; b 2", "a 1; b 2") == difference("", "") == ""
    assert difference("r revision 3; a 1; b 2", "r revision 4; a 1; b 5") == (
        "what is under test changed during the run: r revision 3, b 2 -> r revision 4, b 5"
    )
    assert difference("a 1; b 2", "a 1").endswith("b 2 -> nothing")


# -- what a release is ------------------------------------------------------------------------------------------------

GATEWAY = {
    "metadata": {"name": "engine"},
    "spec": {
        "selector": {"matchLabels": {"app": "engine"}},
        "template": {
            "metadata": {"labels": {"app": "engine"}},
            "spec": {"containers": [{"name": "x", "image": "i:1", "command": ["start_fastapi_server"]}]},
        },
    },
}


def release_secret(version: int, name: str = "engine") -> dict:
    labels = {"owner": "helm", "name": name, "status": "deployed", "version": str(version)}
    return {"metadata": {"name": f"sh.helm.release.v1.{name}.v{version}", "labels": labels}, "data": {"release": ""}}


@pytest.fixture
def kube(kube: Kube) -> Kube:
    """With a gateway's Deployment."""
    kube.create(DEPLOYMENTS, copy.deepcopy(GATEWAY), "models")
    return kube


def test_what_was_installed_is_the_identity_not_how_much_of_it_runs(kube: Kube, tmp_path: Path) -> None:
    settings = Settings.load({}, {}, tmp_path)
    bare = identity(kube, settings, "models")
    assert bare.startswith("engine ")
    kube.create(SECRETS, release_secret(9), "models")
    kube.create(SECRETS, release_secret(10), "models")
    first = identity(kube, settings, "models")
    assert first == f"helm release engine revision 10; {bare}"

    kube.patch(DEPLOYMENTS, "engine", "models", {"spec": {"replicas": 3}})
    restarted = {"metadata": {"annotations": {RESTARTED: "2026-01-01T00:00:00Z"}}}
    kube.patch(DEPLOYMENTS, "engine", "models", {"spec": {"template": restarted}})
    assert identity(kube, settings, "models") == first

    image = {"spec": {"containers": [{"name": "x", "image": "i:2", "command": ["start_fastapi_server"]}]}}
    kube.patch(DEPLOYMENTS, "engine", "models", {"spec": {"template": image}})
    assert difference(first, identity(kube, settings, "models")).startswith(
        "what is under test changed during the run: engine "
    )
    kube.create(SECRETS, release_secret(1, "another"), "models")
    assert "revision" not in identity(kube, settings, "models"), "two releases, and nothing says which is meant"


# -- in a run ---------------------------------------------------------------------------------------------------------

PLUGIN = """
    import pathlib, pytest

    def pytest_seatrial_identity(trial, kube):
        return pathlib.Path("now").read_text()

    @pytest.fixture
    def release():
        return "a release"
    """
CHECKS = """
    import pathlib, pytest
    from seatrial.verdict import NotApplicable

    def test_before(release):
        '''A check.'''

    @pytest.mark.parametrize("how", ["fails", "passes"])
    def test_across(release, how):
        '''A check.'''
        pathlib.Path("now").write_text("revision 2")
        assert how == "passes"

    def test_after():
        '''A check.'''
        assert False
    """


@pytest.mark.parametrize("arguments", [(), pytest.param(("-n", "1"), marks=pytest.mark.prove)])
def test_that_check_and_all_later_ones_are_errors(tmp_path: Path, arguments: tuple[str, ...], nobody: str) -> None:
    (tmp_path / "now").write_text("revision 1")
    suite = Suite(tmp_path).write(plugins=("change_plugin",), change_plugin=PLUGIN, tier_a=CHECKS)
    run = suite.pytest(*arguments, KUBECONFIG=nobody)
    assert run.verdicts == {
        "tier_a/before": "pass",
        "tier_a/across[fails]": "error (changed)",
        "tier_a/across[passes]": "error (changed)",
        "tier_a/after": "error (changed)",
    }, run.out
    assert run.code == 3
    assert run.out.count("what is under test changed during the run: revision 1 -> revision 2") == 1
    assert run.lastfailed == {"across[fails]", "across[passes]", "after"}


@pytest.fixture
def nobody(tmp_path: Path) -> str:
    """A kubeconfig that leads nowhere, with one context."""
    return str(write_config(tmp_path / "kubeconfig", "https://127.0.0.1:1", {}))


def await_waiting(folder: Path) -> None:
    """Return once a check of the run in `folder` waits for its endpoint."""
    end = time.monotonic() + 60
    while not any('"what": "sync endpoint"' in path.read_text() for path in folder.glob("runs/*/events.*")):
        assert time.monotonic() < end, "no endpoint is waited for"
        time.sleep(0.05)


@pytest.mark.prove
@pytest.mark.parametrize("arguments", [("-n", "2"), pytest.param((), marks=pytest.mark.prove)], ids=["n2", "n0"])
def test_a_helm_upgrade_in_mid_run(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """What was judged before it stands; what the run made is removed as ever."""
    with sandbox("--ready-after", "2") as released:

        def upgrade(run: Underway) -> None:
            await_waiting(run.out.parent)
            namespace = released.up["namespace"]
            path = f"/apis/apps/v1/namespaces/{namespace}/deployments/model-engine-endpoint-builder"
            patch = {"spec": {"template": {"metadata": {"annotations": {"checksum/config": "new"}}}}}
            kind = {"Content-Type": "application/merge-patch+json"}
            with released.kube() as kube:
                made = kube.post(f"/api/v1/namespaces/{namespace}/secrets", json=release_secret(77, "model-engine"))
                made.raise_for_status()
                kube.patch(path, json=patch, headers=kind).raise_for_status()

        selected = ("-k", "healthz or (sync_endpoint_serves and not async) or sync_task_echoes")
        run = judged(tmp_path, *selected, *arguments, during=upgrade, **released.environment())
        left = released.left(run.run["run"])
    assert run.verdicts == {
        "control_plane/healthz": "pass",
        "tier_a/sync_endpoint_serves": "error (changed)",
        "tier_a/sync_task_echoes": "error (changed)",
    }, run.out
    assert run.code == 3
    assert re.search(r"changed during the run: .*model-engine-endpoint-builder \w+.* -> .*revision 77, ", run.out), (
        run.out
    )
    assert left == []
