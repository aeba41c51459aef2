"""What pods and Deployments tell of their trouble, and how long that must hold before a wait ends by it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from api_server import Api
from kube_objects import deployment, pod

from seatrial import config_maps, health
from seatrial.kube import Kube
from seatrial.record import Record
from seatrial.resources import CONFIG_MAPS, DEPLOYMENTS, EVENTS, NAMESPACES, NODES, PODS
from seatrial.run import Run
from seatrial.verdict import Cause

NOT_FOUND = 'Failed to pull image "app:1": failed to resolve reference "app:1": not found'
DENIED = 'Failed to pull image "app:1": pull access denied, repository does not exist or may require authorization'
LIMITED = 'Failed to pull image "app:1": toomanyrequests: You have reached your pull rate limit'
SLOW = 'Failed to pull image "app:1": context deadline exceeded'


@pytest.fixture(scope="module")
def kube(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kube]:
    folder: Path = tmp_path_factory.mktemp("health")
    record = Record(Run("t5k2m9x7qd", folder / "run"))
    with Api(folder) as api, Kube.connect(api.config, "sandbox", record=record) as client:
        client.create(NAMESPACES, {"metadata": {"name": "models"}})
        yield client
    record.close()


def trouble(
    kube: Kube,
    name: str,
    *told: tuple[str, str, int],
    node: str = "n1",
    limits: dict[str, str] | None = None,
    spec: Mapping[str, Any] | None = None,
    **status: Any,
) -> Cause | None:
    """The trouble of a pod with these limits, this container status and these events: reason, message, count."""
    fields = {**(spec or {}), **({"nodeName": node} if node else {"schedulerName": "nobody"})}
    fields |= {"resources": {"limits": limits}} if limits else {}
    made = kube.create(PODS, pod(name, labels={"app": "echo"}, **fields), "models")
    container = {"name": "main", "image": "app:1", "ready": False, "restartCount": 0, **status}
    patch = {"status": {"phase": "Pending", "containerStatuses": [container] if node else []}}
    kube.patch(PODS, name, "models", patch, subresource="status")
    for number, (reason, message, count) in enumerate(told):
        body = {
            "metadata": {"name": f"{name}.{number}"},
            "involvedObject": {"kind": "Pod", "namespace": "models", "name": name, "uid": made["metadata"]["uid"]}
            | {"fieldPath": "spec.containers{main}"},
            "reason": reason,
            "message": message,
            "count": count,
            "lastTimestamp": f"2099-01-01T00:00:0{number}Z",
        }
        kube.create(EVENTS, body, "models")
    return health.pod_trouble(kube, kube.get(PODS, name, "models"))


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"state": {"waiting": {"reason": reason, "message": message}}}


@pytest.mark.parametrize(
    ("name", "message", "count", "settle"),
    [
        ("once", NOT_FOUND, 1, None),
        ("twice", NOT_FOUND, 2, 0.0),
        ("denied", DENIED, 2, 0.0),
        ("limited", LIMITED, 5, math.inf),
        ("slow", SLOW, 5, None),
    ],
)
def test_an_image_that_cannot_be_pulled(kube: Kube, name: str, message: str, count: int, settle: float | None) -> None:
    cause = trouble(kube, name, ("Failed", message, count), **waiting("ImagePullBackOff"))
    assert cause
    assert (cause.line, cause.settle) == ("the image app:1 cannot be pulled", settle)
    assert cause.evidence[1] == message
    assert cause.look.endswith(f"-n models describe pod {name}")


def test_a_pull_that_goes_on_is_no_trouble(kube: Kube) -> None:
    assert trouble(kube, "pulling", ("Pulling", 'Pulling image "app:1"', 1), **waiting("ContainerCreating")) is None


@pytest.mark.parametrize(("restarts", "settle"), [(1, None), (2, 0.0)])
def test_a_crash_loop(kube: Kube, restarts: int, settle: float | None) -> None:
    last = {"lastState": {"terminated": {"exitCode": 3, "reason": "Error"}}, "restartCount": restarts}
    cause = trouble(kube, f"crashes-{restarts}", **last, **waiting("CrashLoopBackOff"))
    assert cause
    assert cause.line == "the container main of echo crashes again and again (Error 3)"
    assert cause.settle == settle
    assert cause.look.endswith(f"logs crashes-{restarts} -c main --previous")


def test_a_crash_loop_is_seen_between_two_crashes(kube: Kube) -> None:
    last = {"lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}, "restartCount": 2}
    cause = trouble(kube, "between", **last, state={"running": {}})
    assert cause
    assert "(OOMKilled 137)" in cause.line


def test_a_container_that_cannot_be_created(kube: Kube) -> None:
    cause = trouble(kube, "config", **waiting("CreateContainerConfigError", 'secret "db" not found'))
    assert cause
    assert cause.line == 'the container main of echo cannot be created: secret "db" not found'


UNMOUNTED = 'MountVolume.SetUp failed for volume "config": references non-existent config key: settings'
PASSES = 'MountVolume.SetUp failed for volume "config": timed out waiting for the condition'


@pytest.mark.parametrize(("name", "message", "settle"), [("key", UNMOUNTED, None), ("cache", PASSES, math.inf)])
def test_a_volume_that_cannot_be_mounted(kube: Kube, name: str, message: str, settle: float | None) -> None:
    cause = trouble(kube, name, ("FailedMount", message, 3), **waiting("ContainerCreating"))
    assert cause
    assert (cause.line, cause.settle) == (f"a volume of echo cannot be mounted: {message}", settle)


@pytest.mark.parametrize(
    ("name", "data", "key", "line"),
    [
        ("none", None, "config.missing", "does not exist"),
        ("empty", {}, "config.empty", "is empty"),
        ("other", {"a": "b"}, "config.incomplete", "has no settings"),
    ],
)
def test_a_volume_of_a_config_map_is_the_config_maps_trouble(
    kube: Kube, name: str, data: dict[str, str] | None, key: str, line: str
) -> None:
    """It is the same for all pods that mount it, and for who reads it."""
    if data is not None:
        kube.create(CONFIG_MAPS, {"metadata": {"name": name}, "data": data}, "models")
    volume = {"name": "config", "configMap": {"name": name, "items": [{"key": "settings", "path": "x"}]}}
    told = ("FailedMount", UNMOUNTED, 3)
    cause = trouble(kube, f"mounts-{name}", told, spec={"volumes": [volume]}, **waiting("ContainerCreating"))
    assert cause
    assert (cause.key, cause.alike) == (f"{key}/models/{name}", f"{key}/models/{name}")
    assert cause.line == f"the ConfigMap models/{name} {line}"
    assert cause.evidence[-1] == f"pod models/mounts-{name} is Pending: {UNMOUNTED}"


def test_a_volume_that_is_yet_to_be_read_is_no_config_maps_trouble(kube: Kube) -> None:
    """The node's copy of it is late; what stands in it is nothing that pods cannot start by."""
    kube.create(CONFIG_MAPS, {"metadata": {"name": "late"}}, "models")
    volume = {"name": "config", "configMap": {"name": "late"}}
    cause = trouble(
        kube, "late", ("FailedMount", PASSES, 1), spec={"volumes": [volume]}, **waiting("ContainerCreating")
    )
    assert cause
    assert (cause.key, cause.settle) == ("pod.mount/models/echo", math.inf)


def test_a_config_map_of_binary_data_is_not_empty(kube: Kube) -> None:
    """A trust store has no key of text."""
    body = {"metadata": {"name": "trust"}, "data": {"a": "b"}, "binaryData": {"store": "/u3+7Q==", "text": "eA=="}}
    kube.create(CONFIG_MAPS, body, "models")
    found = config_maps.data(kube, "models", "trust")
    assert found
    assert {key: found[key] for key in ("a", "text")} == {"a": "b", "text": "x"}
    binary = {"store": found["store"]}
    assert config_maps.trouble(kube, "models", "trust", binary, ["store"]) is None
    assert config_maps.trouble(kube, "models", "trust", binary, ["settings"])


def test_a_volume_that_was_mounted_in_the_end_is_no_trouble(kube: Kube) -> None:
    then = ("FailedMount", UNMOUNTED, 1), ("Pulling", 'Pulling image "app:1"', 1)
    assert trouble(kube, "mounted", *then, **waiting("ContainerCreating")) is None


FAILED = ("FailedScheduling", "0/3 nodes are available: 3 Insufficient cpu.", 1)


def test_a_pod_for_which_others_are_on_their_way_out(kube: Kube) -> None:
    trouble(kube, "drives-out", FAILED, node="")
    kube.patch(PODS, "drives-out", "models", {"status": {"nominatedNodeName": "n1"}}, subresource="status")
    cause = health.pod_trouble(kube, kube.get(PODS, "drives-out", "models"))
    assert cause
    assert cause.settle == math.inf


@pytest.mark.parametrize(
    ("name", "more", "settle"),
    [
        ("alone", (), None),
        ("grows", (("TriggeredScaleUp", "pod triggered scale-up", 1),), math.inf),
        ("full", (("NotTriggerScaleUp", "pod didn't trigger scale-up", 1),), 0.0),
    ],
)
def test_a_pod_that_no_node_takes(kube: Kube, name: str, more: tuple[Any, ...], settle: float | None) -> None:
    cause = trouble(kube, name, FAILED, *more, node="")
    assert cause
    assert cause.line == f"no node can take the pod of echo: {FAILED[1]}"
    assert cause.settle == settle


TAINTED = (
    "0/3 nodes are available: 2 node(s) had untolerated taint(s), 1 node(s) didn't match Pod's node affinity/selector."
)
TOLERATES = [{"key": "pool", "operator": "Exists"}]


def test_what_pods_share_that_no_node_takes(kube: Kube) -> None:
    """Told of one, it is known of all with the same tolerations and selectors, and of no other; never of full nodes,
    nor of what passes: what keeps an autoscaler back, and the taints of a node's state."""

    def alike(name: str, said: str = TAINTED, *more: tuple[str, str, int], **spec: Any) -> str:
        cause = trouble(kube, f"alike-{name}", ("FailedScheduling", said, 1), *more, node="", spec=spec)
        assert cause
        return cause.alike

    first = alike("first")
    assert first
    assert alike("second", affinity={"podAntiAffinity": {}}) == first
    assert len({first, alike("tolerates", tolerations=TOLERATES), alike("selects", nodeSelector={"pool": "x"})}) == 3
    assert alike("fewer", TAINTED.replace("2 node(s)", "1 node(s)")) != first
    assert alike("full", FAILED[1]) == ""
    assert alike("partly", TAINTED.replace("available: ", "available: 1 Too many pods, ")) == ""
    assert alike("backs-off", TAINTED, ("NotTriggerScaleUp", "pod didn't trigger scale-up: 1 in backoff", 1)) == ""
    assert alike("dedicated", TAINTED.replace("taint(s)", "taint {dedicated: us}"))
    assert alike("not-ready", TAINTED.replace("taint(s)", "taint {node.kubernetes.io/not-ready: }")) == ""
    new = "node.cloudprovider.kubernetes.io/uninitialized"
    assert alike("new-node", TAINTED.replace("taint(s)", f"taint {{{new}: true}}")) == ""
    node = kube.create(NODES, {"metadata": {"name": "n9"}, "spec": {"taints": [{"key": new, "effect": "NoSchedule"}]}})
    assert alike("unnamed") == ""
    kube.delete(NODES, node)


@pytest.mark.parametrize(
    ("name", "more", "settle"),
    [("gpu-alone", (), None), ("gpu-grows", (("TriggeredScaleUp", "pod triggered scale-up", 1),), math.inf)],
)
def test_a_pod_that_wants_gpus_is_explained_node_by_node(
    kube: Kube, name: str, more: tuple[Any, ...], settle: float | None
) -> None:
    """The scheduler says the same of a resource that nobody has, that nobody gives, and that is all taken."""
    said = ("FailedScheduling", "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.", 1)
    made = kube.create(NODES, {"metadata": {"name": "gpu-1"}})
    status = {
        "capacity": {"nvidia.com/gpu": "2"},
        "allocatable": {"nvidia.com/gpu": "0"},
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    kube.patch(NODES, "gpu-1", "", {"status": status}, subresource="status")
    cause = trouble(kube, name, said, *more, node="", limits={"nvidia.com/gpu": "1"})
    kube.delete(NODES, made)
    assert cause
    assert (cause.key, cause.settle) == ("gpu.allocatable_zero/gpu-1", settle)
    assert cause.evidence[0] == f"pod models/{name} is Pending"
    assert cause.evidence[1].startswith("node gpu-1, nvidia.com/gpu: can give none of its 2 nvidia.com/gpu")
    assert f"FailedScheduling: {said[1]}" in cause.evidence


def test_a_pod_that_is_being_deleted_is_nobodys_trouble(kube: Kube) -> None:
    made = kube.create(PODS, pod("leaves", nodeName="n1"), "models")
    kube.patch(PODS, "leaves", "models", {"metadata": {"finalizers": ["test/held"]}})
    kube.delete(PODS, made)
    kube.patch(PODS, "leaves", "models", {"status": {"phase": "Failed"}}, subresource="status")
    assert health.pod_trouble(kube, kube.get(PODS, "leaves", "models")) is None
    kube.patch(PODS, "leaves", "models", {"metadata": {"finalizers": None}})


def test_deployments(kube: Kube) -> None:
    missing = health.workload(kube, DEPLOYMENTS, "builder", "models")
    assert missing
    assert missing.line == "the Deployment builder does not exist"
    kube.create(DEPLOYMENTS, deployment("builder", replicas=0), "models")
    scaled = health.workload(kube, DEPLOYMENTS, "builder", "models")
    assert scaled
    assert scaled.line == "the Deployment builder is scaled to 0"
    kube.patch(DEPLOYMENTS, "builder", "models", {"spec": {"replicas": 1}})
    pending = health.workload(kube, DEPLOYMENTS, "builder", "models")
    assert pending
    assert not pending.certain or "no node can take the pod of builder" in pending.line
    kube.patch(DEPLOYMENTS, "builder", "models", {"status": {"readyReplicas": 1}}, subresource="status")
    assert health.workload(kube, DEPLOYMENTS, "builder", "models") is None or pending
