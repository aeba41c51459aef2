"""What a node comes to for a pod that wants GPUs, and what is said of several: pure functions of nodes and pods."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from seatrial.gpu import free
from seatrial.gpu.health import LINES, Sight, absent, explained, wanted_by
from seatrial.gpu.node import LABELS, OFFERS, ROOM, TAKES, Code, Want, judge
from seatrial.gpu.vendors import TABLE, vendors
from seatrial.kinds import Malformed

NVIDIA, AMD = TABLE["nvidia"], TABLE["amd"]
KEY = "k8s.amazonaws.com/accelerator"
A10 = {KEY: "nvidia-ampere-a10"}
TOLERATED = ({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},)
TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
WANT = Want(NVIDIA, labels={KEY: ("nvidia-ampere-a10",)}, tolerations=TOLERATED, count=1)


def node(
    name: str = "gpu-1",
    *,
    gpus: dict[str, tuple[int, int]] | None = None,
    labels: dict[str, str] | None = None,
    taints: tuple[dict[str, str], ...] = (TAINT,),
    cordoned: bool = False,
    **conditions: str,
) -> dict[str, Any]:
    """`gpus`: capacity and allocatable, by resource."""
    gpus = {"nvidia.com/gpu": (2, 2)} if gpus is None else gpus
    conditions = {"Ready": "True", **conditions}
    return {
        "metadata": {"name": name, "labels": A10 if labels is None else labels},
        "spec": {"taints": list(taints), **({"unschedulable": True} if cordoned else {})},
        "status": {
            "capacity": {"cpu": "8", **{key: str(has) for key, (has, _) in gpus.items()}},
            "allocatable": {"cpu": "8", "memory": "16Gi", **{key: str(gives) for key, (_, gives) in gpus.items()}},
            "conditions": [{"type": key, "status": value, "reason": "R"} for key, value in conditions.items()],
        },
    }


def pod(name: str, count: int, on: str = "gpu-1", *, phase: str = "Running", **more: Any) -> dict[str, Any]:
    resources = {"limits": {"nvidia.com/gpu": str(count)}, "requests": {"cpu": "500m", "memory": "1Gi"}}
    spec = {"nodeName": on, "containers": [{"name": "main", "resources": resources}], **more}
    return {"metadata": {"name": name, "namespace": "models", "labels": {}}, "spec": spec, "status": {"phase": phase}}


GFD = {**A10, "nvidia.com/gpu.count": "4"}
MIG = {"nvidia.com/mig-1g.5gb": (7, 7)}


@pytest.mark.parametrize(
    ("code", "given", "line"),
    [
        (Code.LABEL_MISSING, node(labels={"nvidia.com/gpu.present": "true"}), f"has no label {KEY}"),
        (Code.LABEL_VALUE, node(labels={KEY: "nvidia-l4"}), f"has {KEY}=nvidia-l4, not nvidia-ampere-a10"),
        (Code.NOT_READY, node(Ready="Unknown"), "is not Ready (R)"),
        (Code.UNSCHEDULABLE, node(cordoned=True), "is cordoned"),
        (
            Code.TAINT_NOT_TOLERATED,
            node(taints=(TAINT, {"key": "team", "value": "x", "effect": "NoExecute"})),
            "has the taint team=x:NoExecute, which is not tolerated",
        ),
        (Code.CONDITION_BAD, node(GPUMissing="True"), "says GPUMissing=True"),
        (Code.CONDITION_BAD, node(AcceleratedHardwareReady="False"), "says AcceleratedHardwareReady=False"),
        (Code.CONDITION_BAD, node(DiskPressure="True"), "says DiskPressure=True"),
        (Code.RESOURCE_ABSENT, node(gpus={}), "offers no nvidia.com/gpu: its device plug-in has never registered"),
        (Code.WRONG_RESOURCE_NAME, node(gpus=MIG), "offers nvidia.com/mig-1g.5gb, not nvidia.com/gpu"),
        (Code.ALLOCATABLE_ZERO, node(gpus={"nvidia.com/gpu": (2, 0)}), "can give none of its 2 nvidia.com/gpu"),
        (Code.ALLOCATABLE_LT_CAPACITY, node(gpus={"nvidia.com/gpu": (8, 7)}), "can give 7 of its 8 nvidia.com/gpu"),
        (Code.FEWER_THAN_LABELLED, node(labels=GFD), "has 2 nvidia.com/gpu, and its labels say 4"),
        (Code.PARTITION_DRIFT, node(labels={**A10, "nvidia.com/mig.config.state": "failed"}), "a repartition is not"),
    ],
)
def test_a_node_falls_short_by_one_thing(code: Code, given: dict[str, Any], line: str) -> None:
    verdict = judge(given, [], WANT)
    assert [one.code for one in verdict.reasons] == [code]
    assert line in verdict.reasons[0].line


def test_every_code_is_of_one_kind() -> None:
    kinds = (LABELS, TAKES, OFFERS, ROOM)
    assert sorted(code for kind in kinds for code in kind) == sorted(Code)


@pytest.mark.parametrize(
    "given",
    [
        node(),
        node(taints=()),
        node(taints=({"key": "sku", "value": "gpu", "effect": "PreferNoSchedule"},)),
        node(labels={**A10, "nvidia.com/gpu.count": "2", "nvidia.com/mig.config.state": "success"}),
        node(GPUMissing="False", AcceleratedHardwareReady="True"),
    ],
)
def test_a_node_that_does(given: dict[str, Any]) -> None:
    assert judge(given, [], WANT).ok


@pytest.mark.parametrize(
    ("pods", "code", "left"),
    [
        ([], None, 2),
        ([pod("a", 2)], Code.ALL_IN_USE, 0),
        ([pod("a", 1), pod("b", 1)], Code.ALL_IN_USE, 0),
        ([pod("a", 2, phase="Succeeded"), pod("b", 2, phase="Failed"), pod("c", 2, on="gpu-2")], None, 2),
        ([pod("a", 1)], None, 1),
        ([pod("a", 0, initContainers=[{"resources": {"limits": {"nvidia.com/gpu": "2"}}}])], Code.ALL_IN_USE, 0),
    ],
)
def test_what_is_free(pods: list[dict[str, Any]], code: Code | None, left: int) -> None:
    verdict = judge(node(), pods, WANT)
    assert [one.code for one in verdict.reasons] == ([code] if code else [])
    assert verdict.free == left


def test_what_else_may_be_short() -> None:
    both = Want(NVIDIA, count=2, tolerations=TOLERATED, requests={"cpu": Decimal(2), "memory": Decimal(40 * 2**30)})
    lines = [one.line for one in judge(node(), [pod("a", 1)], both).reasons]
    assert lines == ["has 1 of 2 nvidia.com/gpu free, not 2", "has 15Gi of 16Gi memory free, not 40Gi"]
    assert judge(node(), None, both).ok, "who may not look says nothing of what is free"


def test_the_other_vendor() -> None:
    want = Want(AMD, tolerations=({"operator": "Exists"},))
    labels = {"feature.node.kubernetes.io/amd-vgpu": "true", "amd.com/gpu.compute-memory-partition": "CPX_NPS4"}
    assert judge(node(gpus={"amd.com/gpu": (8, 8)}, labels=labels), [], want).ok
    parted = node(gpus={"amd.com/spx_nps1": (8, 8)}, labels=labels)
    codes = [one.code for one in judge(parted, [], want).reasons]
    assert codes == [Code.WRONG_RESOURCE_NAME, Code.PARTITION_DRIFT]
    assert AMD.among([node("n", gpus={}, labels={"feature.node.kubernetes.io/amd-gpu": "true"}), node("m")])
    assert AMD.among([node("cpu", gpus={}, labels={KEY: "nvidia-l4"})]) == []


def test_who_holds_them() -> None:
    ours = pod("probe", 1)
    ours["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "seatrial"}
    found = list(free.held([pod("a", 1), pod("b", 4), ours, pod("c", 0)], "nvidia.com/gpu"))
    assert free.by_whom(found) == "held by models/b (4), models/a (1), models/probe of a run of seatrial (1)"
    assert free.by_whom(found, 1) == "held by models/b (4) and 2 more"
    assert free.by_whom(None) == free.UNSEEN


@pytest.mark.parametrize(
    ("at_least", "nodes", "key", "line"),
    [
        (None, [node(), node("gpu-2")], "", ""),
        (None, [], "gpu.absent/nvidia", "no node shows any sign of a GPU of NVIDIA"),
        (0, [], "", ""),
        (0, [node(cordoned=True)], "gpu.unschedulable/gpu-1", "the node gpu-1 is cordoned"),
        (None, [node(), node("gpu-2", cordoned=True)], "gpu.unschedulable/gpu-2", "the node gpu-2 is cordoned"),
        (2, [node(), node("gpu-2", cordoned=True)], "", ""),
        (
            4,
            [node(), node("gpu-2", cordoned=True)],
            "gpu.unschedulable/gpu-2",
            "the node gpu-2 is cordoned; 2 of the expected 4 GPUs are left",
        ),
        (8, [node(), node("gpu-2")], "gpu.too_few/nvidia", "8 NVIDIA GPUs are expected, and the 2 nodes have 4"),
        (
            None,
            [node(f"gpu-{number}", gpus={}) for number in range(3)],
            "gpu.resource_absent/gpu-0",
            "3 of 3 NVIDIA nodes: each offers no nvidia.com/gpu",
        ),
    ],
)
def test_what_is_expected(at_least: int | None, nodes: list[dict[str, Any]], key: str, line: str) -> None:
    want = Want(NVIDIA, tolerations=TOLERATED, labels={KEY: ()}, at_least=at_least)
    cause = Sight([node("cpu", gpus={}, labels={}), *nodes], []).trouble(want)
    assert (cause.key if cause else "") == key
    assert line in (cause.line if cause else "")


def test_a_node_that_takes_no_pods_is_not_asked_what_it_offers() -> None:
    sight = Sight([node(Ready="Unknown"), node("gpu-2", gpus={"nvidia.com/gpu": (2, 0)})], [])
    want = Want(NVIDIA, tolerations=TOLERATED)
    found = sight.trouble(want, OFFERS, apart=TAKES)
    assert found
    assert found.key == "gpu.allocatable_zero/gpu-2"
    alone = Sight(sight.nodes[:1], []).trouble(want, OFFERS, apart=TAKES)
    assert alone
    assert alone.key == "gpu.not_ready/gpu-1"


def test_many_nodes_are_told_in_few_lines() -> None:
    pool = [node(f"a-{number}", gpus={}) for number in range(20)]
    odd = [node(f"b-{number}", taints=({"key": f"t{number}", "effect": "NoSchedule"},)) for number in range(20)]
    cause = Sight([*pool, *odd], []).trouble(Want(NVIDIA, tolerations=TOLERATED))
    assert cause
    assert len(cause.evidence) == LINES + 1
    assert cause.evidence[0].startswith("20 nodes (a-0, a-1, a-10, …), nvidia-ampere-a10: offers no nvidia.com/gpu")
    assert cause.evidence[-1] == f"and {21 - LINES} more kinds of nodes"


def worker(count: int = 1, **more: Any) -> dict[str, Any]:
    made = pod("worker", count, on="", nodeSelector=A10, tolerations=list(TOLERATED), **more)
    return {**made, "status": {"phase": "Pending"}}


CPU = node("cpu", gpus={}, labels={}, taints=())


@pytest.mark.parametrize(
    ("nodes", "pods", "key", "line"),
    [
        ([CPU], [], "gpu.absent/nvidia", "no node shows any sign"),
        ([CPU, node(), node("gpu-2")], [pod("x", 2), pod("y", 2, "gpu-2")], "gpu.busy/nvidia.com/gpu", "models/x (2)"),
        (
            [CPU, node(labels={KEY: "nvidia-l4"}, cordoned=True), node("gpu-2", cordoned=True)],
            [],
            "gpu.unschedulable/gpu-2",
            "no node can take it: the node gpu-2 is cordoned",
        ),
        ([CPU, node(gpus={"nvidia.com/gpu": (2, 0)})], [], "gpu.allocatable_zero/gpu-1", "can give none"),
        ([node(), node("gpu-2", cordoned=True)], [pod("x", 2)], "gpu.busy/nvidia.com/gpu", "held by models/x (2)"),
        ([node()], [], "", ""),
    ],
)
def test_why_a_pod_is_pending(nodes: list[dict[str, Any]], pods: list[dict[str, Any]], key: str, line: str) -> None:
    want = wanted_by(worker())
    assert want
    cause = explained(Sight(nodes, pods), want)
    assert (cause.key if cause else "") == key
    assert line in (cause.line if cause else "")


def test_a_pending_pod_is_given_time_for_an_autoscaler() -> None:
    """What nodes there are and lack says nothing of a node that may come; what they are is judged at once."""
    want = wanted_by(worker())
    assert want
    wrong = [node(labels={KEY: "nvidia-l4"})]
    for cause in (explained(Sight(wrong, []), want), explained(Sight([node()], [pod("x", 2)]), want)):
        assert cause
        assert cause.settle is None
    assert (found := explained(Sight([CPU], []), want))
    assert found.settle is None
    assert (judged := Sight(wrong, []).trouble(want, LABELS))
    assert judged.settle == absent(want).settle == 0.0


def test_a_pod_that_has_to_do_with_no_gpu_is_not_explained() -> None:
    assert (
        wanted_by(pod("web", 0) | {"spec": {"containers": [{"name": "main"}], "nodeSelector": {"pool": "x"}}}) is None
    )


def test_a_pod_without_a_gpu_on_gpu_nodes() -> None:
    pull = {"metadata": {"name": "pull"}, "spec": {"containers": [{"name": "c"}], "nodeSelector": A10}}
    want = wanted_by(pull)
    assert want
    cause = explained(Sight([node(gpus={})], []), want)
    assert cause
    assert cause.key == "gpu.taint_not_tolerated/gpu-1"


def test_users_rows() -> None:
    patch = "{nvidia: {labels: {cloud.example/gpu: {values: 'nv-.*', type: true}}}, other: {resource: other.com/gpu}}"
    table = vendors(patch, Path())
    marked = node("x", gpus={}, labels={"cloud.example/gpu": "nv-1"})
    assert [one.key for one in Sight([marked], []).vendors(table)] == ["nvidia"]
    assert table["nvidia"].type_of(marked) == "nv-1"
    assert table.of_resource("other.com/gpu") == table["other"]
    assert Sight([marked], []).vendors() == []


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ("{nvidia: {label: {}}}", "knows no 'label' in nvidia"),
        ("{intel: {}}", "says no resource for intel"),
        ("{nvidia: {resources: '['}}", "has a row nvidia that cannot be read"),
        ("{nvidia: {operators: [{name: x}]}}", "has a row nvidia that cannot be read"),
        ("{nvidia: {labels: [a]}}", "has a row nvidia that cannot be read"),
        ("[1]", "is a list, not a mapping"),
    ],
)
def test_a_table_that_is_none(given: str, what: str) -> None:
    with pytest.raises(Malformed) as caught:
        vendors(given, Path())
    assert what in caught.value.what
