"""The scheduler: which node a pod gets, and the texts of FailedScheduling as kube-scheduler 1.36 writes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kube_api_server import eventually
from kube_objects import node, pod
from kubernetes import client

pytest_plugins = ["kube_fixtures"]

ACCELERATOR = {"k8s.amazonaws.com/accelerator": "nvidia-hopper-h100"}
GPU_TAINT = {"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}
TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
NO_CLAIMS = "no new claims to deallocate, preemption:"


@pytest.fixture
def nodes(core: client.CoreV1Api) -> Iterator[None]:
    """Seven nodes: one cordoned, two tainted, one with two GPUs, one whose GPUs are not allocatable, two plain."""
    bodies = [node(f"plain-{number}") for number in (1, 2)]
    bodies.append({**node("cordoned"), "spec": {"unschedulable": True}})
    for number in (1, 2):
        tainted = node(f"tainted-{number}", labels=ACCELERATOR, nvidia_com__gpu="8")
        bodies.append({**tainted, "spec": {"taints": [GPU_TAINT]}})
    bodies.append(node("gpu", labels=ACCELERATOR, nvidia_com__gpu="2"))
    bodies.append(node("broken", labels={"kind": "broken"}, nvidia_com__gpu="0"))
    for body in bodies:
        core.create_node(body)
    yield
    for body in bodies:
        core.delete_node(body["metadata"]["name"])


def gpus(count: int) -> dict[str, object]:
    return {"limits": {"nvidia.com/gpu": str(count)}}


def node_of(core: client.CoreV1Api, namespace: str, name: str) -> str:
    def look() -> str:
        found = core.read_namespaced_pod(name, namespace).spec.node_name
        assert found
        return str(found)

    return eventually(look)


def refusal(core: client.CoreV1Api, namespace: str, name: str) -> str:
    """The text of FailedScheduling, which condition and event have alike."""

    def look() -> str:
        found = core.read_namespaced_pod(name, namespace).status.conditions or []
        (condition,) = [item for item in found if item.type == "PodScheduled"]
        assert (condition.status, condition.reason) == ("False", "Unschedulable")
        selector = f"involvedObject.name={name},reason=FailedScheduling,type=Warning"
        events = core.list_namespaced_event(namespace, field_selector=selector).items
        assert condition.message in [event.message for event in events]
        assert {event.source.component for event in events} == {"default-scheduler"}
        return str(condition.message)

    return eventually(look)


def test_without_nodes(core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_pod(namespace, pod("one"))
    assert refusal(core, namespace, "one") == "no nodes available to schedule pods"
    core.delete_namespaced_pod("one", namespace)


@pytest.mark.usefixtures("nodes")
@pytest.mark.parametrize(
    ("spec", "filters", "preemption"),
    [
        # The first is recorded from a real scheduler, with seven nodes of these kinds.
        (
            {"nodeSelector": {"no": "such-label"}},
            "1 node(s) were unschedulable, 2 node(s) had untolerated taint(s), "
            "4 node(s) didn't match Pod's node affinity/selector",
            "7 Preemption is not helpful for scheduling",
        ),
        (
            {"resources": gpus(16)},
            "1 node(s) were unschedulable, 2 node(s) had untolerated taint(s), 4 Insufficient nvidia.com/gpu",
            "7 Preemption is not helpful for scheduling",
        ),
        (
            {"resources": gpus(1), "nodeSelector": {"kind": "broken"}},
            "1 Insufficient nvidia.com/gpu, 1 node(s) were unschedulable, 2 node(s) had untolerated taint(s), "
            "3 node(s) didn't match Pod's node affinity/selector",
            "7 Preemption is not helpful for scheduling",
        ),
        (
            {"resources": {"requests": {"cpu": "5", "memory": "9Gi"}}},
            "1 node(s) were unschedulable, 2 node(s) had untolerated taint(s), 4 Insufficient cpu, "
            "4 Insufficient memory",
            "7 Preemption is not helpful for scheduling",
        ),
    ],
)
def test_why_no_node_fits(
    core: client.CoreV1Api, namespace: str, spec: dict[str, object], filters: str, preemption: str
) -> None:
    core.create_namespaced_pod(namespace, pod("one", **spec))
    expected = f"0/7 nodes are available: {filters}. {NO_CLAIMS} 0/7 nodes are available: {preemption}."
    assert refusal(core, namespace, "one") == expected


@pytest.mark.usefixtures("nodes")
def test_gpus_in_use_come_free(core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_pod(namespace, pod("first", resources=gpus(2), nodeSelector=ACCELERATOR))
    assert node_of(core, namespace, "first") == "gpu"
    core.create_namespaced_pod(namespace, pod("second", resources=gpus(1), nodeSelector=ACCELERATOR))
    assert refusal(core, namespace, "second") == (
        "0/7 nodes are available: 1 Insufficient nvidia.com/gpu, 1 node(s) were unschedulable, "
        "2 node(s) had untolerated taint(s), 3 node(s) didn't match Pod's node affinity/selector. "
        f"{NO_CLAIMS} 0/7 nodes are available: 1 No preemption victims found for incoming pod, "
        "6 Preemption is not helpful for scheduling."
    )
    core.delete_namespaced_pod("first", namespace, grace_period_seconds=0)
    assert node_of(core, namespace, "second") == "gpu"
    messages = [event.message for event in core.list_namespaced_event(namespace).items]
    assert f"Successfully assigned {namespace}/second to gpu" in messages


@pytest.mark.usefixtures("nodes")
def test_tolerations_and_affinity(core: client.CoreV1Api, namespace: str) -> None:
    terms = [{"matchExpressions": [{"key": "k8s.amazonaws.com/accelerator", "operator": "Exists"}]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    spec = {"tolerations": [TOLERATION], "affinity": {"nodeAffinity": required}, "resources": gpus(4)}
    core.create_namespaced_pod(namespace, pod("one", **spec))
    assert node_of(core, namespace, "one").startswith("tainted-")


@pytest.mark.usefixtures("nodes")
def test_a_waiting_pod_is_scheduled_when_a_node_fits(core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_pod(namespace, pod("one", nodeSelector={"kind": "plain"}))
    assert "didn't match Pod's node affinity/selector" in refusal(core, namespace, "one")
    core.patch_node("plain-1", {"metadata": {"labels": {"kind": "plain"}}})
    assert node_of(core, namespace, "one") == "plain-1"


def test_a_node_that_is_not_ready_gets_no_pods(core: client.CoreV1Api, namespace: str) -> None:
    core.create_node(node("late", ready="False"))
    core.create_namespaced_pod(namespace, pod("one"))
    assert "1 node(s) had untolerated taint(s)" in refusal(core, namespace, "one")
    core.patch_node_status("late", {"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    assert node_of(core, namespace, "one") == "late"
    core.delete_node("late")


def test_a_full_node(core: client.CoreV1Api, namespace: str) -> None:
    core.create_node(node("small", pods="1"))
    core.create_namespaced_pod(namespace, pod("first"))
    node_of(core, namespace, "first")
    first = {"name": "first", "image": "x", "resources": {"requests": {"cpu": "5"}}}
    core.create_namespaced_pod(namespace, pod("second", initContainers=[first]))
    assert refusal(core, namespace, "second").startswith(
        "0/1 nodes are available: 1 Insufficient cpu, 1 Too many pods."
    )
    core.delete_node("small")


@pytest.fixture
def classes(api_client: client.ApiClient) -> Iterator[None]:
    """As the product's chart has them."""
    scheduling = client.SchedulingV1Api(api_client)
    every: dict[str, dict[str, Any]] = {
        "high": {"value": 100},
        "default": {"value": 1, "preemptionPolicy": "Never"},
        "low": {"value": -1},
    }
    for name, fields in every.items():
        scheduling.create_priority_class({"metadata": {"name": name}, **fields})
    yield
    for name in every:
        scheduling.delete_priority_class(name)


def of(priority: str, count: int, **spec: Any) -> dict[str, Any]:
    return {"priorityClassName": priority, "resources": gpus(count), **spec}


@pytest.mark.usefixtures("classes")
def test_the_lowest_make_room_for_a_pod_of_high_priority(core: client.CoreV1Api, namespace: str) -> None:
    core.create_node(node("warm", nvidia_com__gpu="3"))
    for name, priority in (("plain", "default"), ("low-1", "low"), ("low-2", "low")):
        core.create_namespaced_pod(namespace, pod(name, **of(priority, 1, terminationGracePeriodSeconds=0)))
        assert node_of(core, namespace, name) == "warm"
    core.create_namespaced_pod(namespace, pod("never", **of("default", 1)))
    insufficient = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    never = f"{insufficient} {NO_CLAIMS} not eligible due to preemptionPolicy=Never."
    assert refusal(core, namespace, "never") == never
    uid = core.create_namespaced_pod(namespace, pod("high", **of("high", 1))).metadata.uid
    assert node_of(core, namespace, "high") == "warm"
    said = {(event.reason, event.involved_object.name): event for event in core.list_namespaced_event(namespace).items}
    assert said["FailedScheduling", "high"].message == insufficient
    (gone,) = [event for (reason, _), event in said.items() if reason == "Preempted"]
    assert (gone.message, gone.type) == (f"Preempted by pod {uid} on node warm", "Normal")
    there = {one.metadata.name: one for one in core.list_namespaced_pod(namespace).items}
    assert len(there.keys() & {"low-1", "low-2"}) == 1
    assert gone.involved_object.name not in there
    assert there["high"].status.nominated_node_name is None
    core.delete_namespaced_pod("never", namespace)
    core.delete_node("warm")


@pytest.mark.usefixtures("classes")
def test_what_was_made_free_is_kept_for_whom_it_was(core: client.CoreV1Api, namespace: str) -> None:
    core.create_node(node("kept", nvidia_com__gpu="2"))
    core.create_namespaced_pod(namespace, pod("low", **of("low", 2)))  # its grace period is 30 s
    assert node_of(core, namespace, "low") == "kept"
    core.create_namespaced_pod(namespace, pod("high", **of("high", 1)))
    refusal(core, namespace, "high")
    assert core.read_namespaced_pod("high", namespace).status.nominated_node_name == "kept"
    core.create_namespaced_pod(namespace, pod("two", **of("default", 2)))
    refusal(core, namespace, "two")
    core.patch_node("kept", {"metadata": {"labels": {"looked": "again"}}})
    under_way = f"{NO_CLAIMS} not eligible due to a terminating pod on the nominated node."
    eventually(lambda: endswith(refusal(core, namespace, "high"), under_way))
    (conditions,) = [one for one in core.read_namespaced_pod("low", namespace).status.conditions if one.reason][:1]
    assert (conditions.type, conditions.reason) == ("DisruptionTarget", "PreemptionByScheduler")
    core.delete_namespaced_pod("low", namespace, grace_period_seconds=0)
    assert node_of(core, namespace, "high") == "kept"
    refusal(core, namespace, "two")
    core.delete_namespaced_pod("two", namespace)
    core.delete_node("kept")


def endswith(text: str, end: str) -> None:
    assert text.endswith(end)


def test_a_pod_that_asks_nonsense_stops_nothing(core: client.CoreV1Api, namespace: str) -> None:
    core.create_node(node("patient"))
    core.create_namespaced_pod(namespace, pod("nonsense", resources={"requests": {"cpu": "much"}}))
    core.create_namespaced_pod(namespace, pod("one"))
    assert node_of(core, namespace, "one") == "patient"
    core.delete_node("patient")
