"""A probe that no node takes, or that nobody answers: what of it is the deployment's, and what is ours alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kube_objects import pod
from logged import NAMESPACE, Logged

from seatrial.policies import refuse_doubt
from seatrial.probe import Place, Probe, Prober
from seatrial.record import Record
from seatrial.resources import NETWORK_POLICIES, NODES, PODS
from seatrial.run import Run
from seatrial.settings import Settings
from seatrial.trial import Trial
from seatrial.verdict import Blocked, NotJudged, Reason, Unhealthy

PLACE = Place(NAMESPACE, "default", "me:1")
TAINT = [{"key": "dedicated", "value": "another-team", "effect": "NoSchedule"}]
Start = Callable[..., Probe]


@pytest.fixture
def start(logged: Logged, tmp_path: Path) -> Iterator[Start]:
    """Starts a probe called so, with these overlays of the user's."""
    run, known = Run("t5k2m9x7qd", tmp_path / "run"), set[str]()
    record = Record(run)

    def started(what: str, overlays: str = "{}", settle: float = 15) -> Probe:
        given = ["timeout_factor=0.02", f"overlays={overlays}", f"settle={settle}"]
        settings = Settings.load({"set": given}, {}, tmp_path)
        return Prober(Trial(run, settings, record, known=known), logged.kube).start(what, PLACE, command=("true",))

    yield started
    record.close()


@pytest.fixture
def tainted(logged: Logged) -> Iterator[None]:
    logged.kube.patch(NODES, "n1", "", {"spec": {"taints": TAINT}})
    yield
    logged.kube.patch(NODES, "n1", "", {"spec": {"taints": []}})


@pytest.mark.usefixtures("tainted")
def test_where_no_node_fits_the_product_the_deployment_fails(start: Start) -> None:
    """The check of an image fails by it, whoever asked something is blocked by the same."""
    pull, asks = start("pull-gateway"), start("redis-cache")
    with pytest.raises(Unhealthy, match="no node can take a pod with the node selector and tolerations") as failed:
        pull.ended()
    with pytest.raises(Blocked) as blocked:
        asks.result()
    with pytest.raises(Blocked):
        start("queue").lines()
    assert blocked.value.cause.key == failed.value.cause.key
    assert blocked.value.cause.line == failed.value.cause.line


@pytest.mark.usefixtures("tainted")
def test_what_one_probe_has_found_out_the_next_is_told_at_once(start: Start) -> None:
    with pytest.raises(Blocked):
        start("redis-cache").result()
    began = time.monotonic()
    with pytest.raises(Blocked, match="no node can take a pod"):
        start("database", settle=3000).result()
    assert time.monotonic() - began < 30  # of 60


def test_where_all_is_taken_nobody_can_say(start: Start, logged: Logged) -> None:
    huge = pod("huge", nodeName="n1", terminationGracePeriodSeconds=0)
    allocatable = logged.kube.get(NODES, "n1", "")["status"]["allocatable"]
    huge["spec"]["containers"][0]["resources"] = {"requests": {"cpu": allocatable["cpu"]}}
    made = logged.kube.create(PODS, huge, NAMESPACE)
    for ask in (Probe.ended, Probe.result):
        with pytest.raises(NotJudged, match="Insufficient cpu") as caught:
            ask(start("pull-gateway"))
        assert caught.value.reason is Reason.BUSY
    logged.kube.delete(PODS, made)


def test_a_node_selector_of_the_users_is_no_failure_of_the_deployment(start: Start) -> None:
    overlay = "{probe/pod: {spec: {nodeSelector: {pool: nowhere}}}}"
    for ask in (Probe.ended, Probe.result):
        with pytest.raises(NotJudged) as caught:
            ask(start("pull-gateway", overlay))
        assert caught.value.reason is Reason.SETTINGS
        assert "overlays" in caught.value.source


def test_a_program_that_should_go_on_and_has_ended_is_told_at_once(start: Start, logged: Logged) -> None:
    probe = start("depth")
    (made,) = (one for one in logged.kube.list(PODS, NAMESPACE) if "probe-depth" in one["metadata"]["name"])
    ended = {"name": "probe", "image": "me:1", "state": {"terminated": {"exitCode": 1}}}
    status = {"phase": "Failed", "containerStatuses": [ended]}
    assert probe.lines() == []
    logged.kube.patch(PODS, made["metadata"]["name"], NAMESPACE, {"status": status}, subresource="status")
    with pytest.raises(NotJudged, match="the probe depth ended with 1 and without an answer: it wrote nothing"):
        probe.lines()
    probe.remove()


def test_a_time_out_under_a_policy_is_doubt(logged: Logged) -> None:
    deny = {"metadata": {"name": "deny"}, "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": []}}
    said = {"ok": False, "code": "timeout", "at": "redis.example:6379"}
    refuse_doubt(logged.kube, NAMESPACE, {}, said)
    made = logged.kube.create(NETWORK_POLICIES, deny, NAMESPACE)
    for other in (said | {"code": "refused"}, {"ok": True}):
        refuse_doubt(logged.kube, NAMESPACE, {}, other)
    with pytest.raises(NotJudged, match="perhaps only the probe is blocked, by the policy models/deny"):
        refuse_doubt(logged.kube, NAMESPACE, {}, said)
    logged.kube.delete(NETWORK_POLICIES, made)
