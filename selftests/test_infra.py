"""The phase infra on a whole release: green, here and elsewhere. What turns it red stands in rows/."""

from __future__ import annotations

from pathlib import Path

import pytest
from sandboxes import Sandbox, judged, sandbox
from verdicts import green

from seatrial import docs

pytestmark = pytest.mark.prove  # test_runs.py has whole runs by both contracts


CHECKS = len([check for check in docs.checks() if check.phase == "infra"])


def test_green(released: Sandbox, tmp_path: Path) -> None:
    green(judged(tmp_path, "-m", "infra", **released.environment()), checks=CHECKS)


@pytest.mark.xdist_group("documented")
def test_green_by_the_documented_contract(documented: Sandbox, tmp_path: Path) -> None:
    run = judged(tmp_path, "-m", "infra", **documented.environment())
    green(run, checks=CHECKS)
    assert run.verdicts["infra/embedded_kubeconfig_is_valid"] == "pass"


def test_what_the_release_has_off_is_not_applicable(released: Sandbox, tmp_path: Path) -> None:
    off = ("--set", "autoscaling_horizontal=false", "--set", "celery_autoscaler=false")
    run = judged(tmp_path, "-m", "infra", "-k", "hpa or autoscaler or gateway_runs", *off, **released.environment())
    parts = ("gateway_hpa_can_scale", "autoscaler_runs", "autoscaler_iterates")
    green(run, *(f"infra/{name}" for name in parts), checks=4)


def test_a_policy_that_may_stop_the_probe_alone(released: Sandbox, tmp_path: Path) -> None:
    """The cacher's Redis answers the cacher, and not our pod, which stands in its place."""
    ours = {"podSelector": {"matchLabels": {"app.kubernetes.io/managed-by": "seatrial"}}}
    policy = {"metadata": {"name": "deny"}, "spec": {**ours, "policyTypes": ["Egress"], "egress": []}}
    path = f"/apis/networking.k8s.io/v1/namespaces/{released.up['namespace']}/networkpolicies"
    with released.kube() as kube:
        kube.post(path, json=policy).raise_for_status()
        run = judged(tmp_path, "-k", "cacher_redis_lets_it_in", **released.environment())
        kube.delete(f"{path}/deny").raise_for_status()
    assert run.verdicts == {"infra/cacher_redis_lets_it_in": "error (unreachable)"}, run.out
    assert "perhaps only the probe is blocked, by the policy model-engine/deny" in run.out


@pytest.mark.parametrize("words", [("onprem", "patched"), ("gcp", "patched"), ("redis-broker",)], ids="+".join)
def test_green_elsewhere(tmp_path: Path, words: tuple[str, ...]) -> None:
    with sandbox(*words) as one:
        green(judged(tmp_path, "-m", "infra", **one.environment()), checks=CHECKS)


def test_the_released_product_on_prem_is_told_as_its_own_defect(tmp_path: Path) -> None:
    with sandbox("onprem") as one:
        run = judged(tmp_path, "-m", "infra", **one.environment())
    lines = {check["id"].partition("/")[2]: check["line"] for check in run.run["checks"] if check["verdict"] == "fail"}
    for check in ("cacher_runs", "cacher_completes_cycles"):
        assert lines[check].startswith("the released product cannot run its cacher with this registry"), run.out
    for check in ("builder_runs", "builder_is_connected"):
        assert lines[check].startswith("the released product cannot run its builder outside AWS"), run.out
    assert run.code == 1, run.out
