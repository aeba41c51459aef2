"""Whether a node can take a pod that wants GPUs, and every reason why it cannot: a pure function of node and pods."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from seatrial.gpu.free import Holder, held, on, short, taken
from seatrial.gpu.vendors import Vendor
from seatrial.kube import Object


class Code(enum.StrEnum):
    """Why a node falls short."""

    LABEL_MISSING = "label_missing"
    LABEL_VALUE = "label_value"
    NOT_READY = "not_ready"
    UNSCHEDULABLE = "unschedulable"
    TAINT_NOT_TOLERATED = "taint_not_tolerated"
    CONDITION_BAD = "condition_bad"
    RESOURCE_ABSENT = "resource_absent"
    WRONG_RESOURCE_NAME = "wrong_resource_name"
    ALLOCATABLE_ZERO = "allocatable_zero"
    ALLOCATABLE_LT_CAPACITY = "allocatable_lt_capacity"
    FEWER_THAN_LABELLED = "fewer_than_labelled"
    PARTITION_DRIFT = "partition_drift"
    ALL_IN_USE = "all_in_use"
    TOO_FEW_FREE = "too_few_free"
    INSUFFICIENT = "insufficient"


LABELS = frozenset({Code.LABEL_MISSING, Code.LABEL_VALUE})
"""How workloads find the node."""
TAKES = frozenset({Code.NOT_READY, Code.UNSCHEDULABLE, Code.TAINT_NOT_TOLERATED, Code.CONDITION_BAD})
"""Whether it takes pods at all."""
OFFERS = frozenset(
    {
        *(Code.RESOURCE_ABSENT, Code.WRONG_RESOURCE_NAME, Code.ALLOCATABLE_ZERO, Code.ALLOCATABLE_LT_CAPACITY),
        *(Code.FEWER_THAN_LABELLED, Code.PARTITION_DRIFT),
    }
)
"""What it offers, taken or not."""
ROOM = frozenset({Code.ALL_IN_USE, Code.TOO_FEW_FREE, Code.INSUFFICIENT})
"""What of it is free now: passes, and is nobody's fault."""

DO: Mapping[Code, str] = {
    Code.LABEL_MISSING: "label the nodes with their GPU type: kubectl label node NODE KEY=VALUE; or their pool",
    Code.LABEL_VALUE: "correct the label's value, or the GPU type that is asked for (gpu_type)",
    Code.NOT_READY: "see what its kubelet says; an instance that is gone wants to be replaced",
    Code.UNSCHEDULABLE: "kubectl uncordon it, once whoever cordoned it agrees",
    Code.TAINT_NOT_TOLERATED: "take the taint away, or have the workload tolerate it",
    Code.CONDITION_BAD: "see the node's events; a GPU that is broken wants its node replaced",
    Code.RESOURCE_ABSENT: "see the device plug-in's log on that node: it has registered nothing with the kubelet",
    Code.WRONG_RESOURCE_NAME: "its GPUs are partitioned or shared: ask for what it offers, or undo the partition",
    Code.ALLOCATABLE_ZERO: "see the device plug-in's log on that node: why it went away, or which GPU is ill",
    Code.ALLOCATABLE_LT_CAPACITY: "a GPU was found unhealthy: see the plug-in's log (Xid, ECC), then restart it",
    Code.FEWER_THAN_LABELLED: "a GPU has dropped off its bus, or the label is old: see lspci and dmesg of that node",
    Code.PARTITION_DRIFT: "let the repartition end, then restart device plug-in and labeller",
    Code.ALL_IN_USE: "wait, or add a node",
    Code.TOO_FEW_FREE: "wait, or ask for fewer",
    Code.INSUFFICIENT: "free some of it, or ask for less",
}
"""What an operator does about each."""

_BAD_ANYWHERE = (
    *(("MemoryPressure", "True"), ("DiskPressure", "True"), ("PIDPressure", "True")),
    ("NetworkUnavailable", "True"),
)


@dataclass(frozen=True)
class Reason:
    """`line` continues "the node x …" and "2 of 3 nodes …", and so names no node."""

    code: Code
    line: str


@dataclass(frozen=True)
class Want:
    """What a workload asks of a node. `labels`: the values it may have, any where there are none; `kind`: the key of
    that which names the type of the GPU. `count`: GPUs that must be free; 0 asks for none now. `requests`: what else it
    takes, in cores and bytes.

    `at_least`: how many GPUs the nodes that do must come to; None: every node with a sign of the vendor must do, and
    there must be one.
    """

    vendor: Vendor
    resource: str = ""
    count: int = 0
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    requests: Mapping[str, Decimal] = field(default_factory=dict)
    at_least: int | None = None
    kind: str = ""

    @property
    def asks_for(self) -> str:
        """The name of the resource: of whole GPUs where nothing else is said."""
        return self.resource or self.vendor.resource


@dataclass(frozen=True)
class NodeVerdict:
    """What one node comes to. `free` and `holders` are None where pods may not be looked at."""

    name: str
    shape: str
    reasons: tuple[Reason, ...]
    capacity: int
    allocatable: int
    free: int | None
    holders: tuple[Holder, ...] | None
    vendors: bool
    """Whether anything on it tells of a GPU of that vendor."""

    @property
    def ok(self) -> bool:
        """Whether nothing stands against it."""
        return not self.reasons

    def short_of(self, codes: Iterable[Code]) -> tuple[Reason, ...]:
        """Those of its reasons that are of these codes."""
        wanted = frozenset(codes)
        return tuple(one for one in self.reasons if one.code in wanted)


def judge(node: Object, pods: Iterable[Object] | None, want: Want) -> NodeVerdict:
    """Every reason why `node`, with `pods` on it (those of other nodes are left out), cannot take what is wanted.

    None for `pods`: nobody lets us see them, and nothing is said of what is free.
    """
    metadata, name = node["metadata"], str(node["metadata"]["name"])
    here = None if pods is None else on(pods, name)
    capacity, allocatable = (want.vendor.offered(node, where) for where in ("capacity", "allocatable"))
    has, gives = capacity.get(want.asks_for, 0), allocatable.get(want.asks_for, 0)
    left = None if here is None else gives - taken(here, want.asks_for)
    reasons = [
        *_labels(metadata.get("labels") or {}, want),
        *_takes(node, want),
        *_offers(node, want, capacity, allocatable),
    ]
    if not any(one.code in OFFERS and one.code is not Code.ALLOCATABLE_LT_CAPACITY for one in reasons):
        reasons += _room(node, here, want, left)
    return NodeVerdict(
        name,
        _shape(node, want.vendor),
        tuple(reasons),
        has,
        gives,
        left,
        None if here is None else tuple(held(here, want.asks_for)),
        bool(want.vendor.signs(node)),
    )


def tolerated(taint: Mapping[str, Any], tolerations: Iterable[Mapping[str, Any]]) -> bool:
    """Whether one of `tolerations` covers the taint, by the scheduler's rules."""
    return any(_covers(one, taint) for one in tolerations)


def shown(taint: Mapping[str, Any]) -> str:
    """A taint as kubectl writes it."""
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint.get('effect', '')}"


def ready(node: Object) -> bool:
    """Whether its kubelet says that it is ready: without that, what it offers is only what it offered once."""
    return any(one["type"] == "Ready" and one["status"] == "True" for one in _conditions(node))


def _labels(labels: Mapping[str, str], want: Want) -> Iterable[Reason]:
    for key, values in want.labels.items():
        if key not in labels:
            yield Reason(Code.LABEL_MISSING, f"has no label {key}")
        elif values and labels[key] not in values:
            wanted = values[0] if len(values) == 1 else f"one of {', '.join(values)}"
            yield Reason(Code.LABEL_VALUE, f"has {key}={labels[key]}, not {wanted}")


def _takes(node: Object, want: Want) -> Iterable[Reason]:
    spec = node.get("spec") or {}
    is_ready = ready(node)
    if not is_ready:
        said = next((one for one in _conditions(node) if one["type"] == "Ready"), {})
        why = ": ".join(filter(None, (said.get("reason"), said.get("message")))) or "its kubelet has said nothing"
        yield Reason(Code.NOT_READY, f"is not Ready ({why})")
    if spec.get("unschedulable"):
        yield Reason(Code.UNSCHEDULABLE, "is cordoned")
    for taint in spec.get("taints") or ():
        keeps_away = taint.get("effect") in ("NoSchedule", "NoExecute")
        own = str(taint["key"]).startswith("node.kubernetes.io/")  # follows from what is told above and below
        if keeps_away and not own and not tolerated(taint, want.tolerations):
            yield Reason(Code.TAINT_NOT_TOLERATED, f"has the taint {shown(taint)}, which is not tolerated")
    bad = (*_BAD_ANYWHERE, *want.vendor.conditions)
    for one in _conditions(node):
        if is_ready and (one["type"], one["status"]) in bad:
            why = f": {one['message']}" if one.get("message") else ""
            yield Reason(Code.CONDITION_BAD, f"says {one['type']}={one['status']}{why}")


def _offers(node: Object, want: Want, capacity: Mapping[str, int], allocatable: Mapping[str, int]) -> Iterable[Reason]:
    labels, name = node["metadata"].get("labels") or {}, want.asks_for
    has, gives = capacity.get(name, 0), allocatable.get(name, 0)
    others = sorted(one for one, count in capacity.items() if count and one != name)
    if name not in capacity and not others:
        yield Reason(Code.RESOURCE_ABSENT, f"offers no {name}: its device plug-in has never registered")
    elif not has and others:
        yield Reason(Code.WRONG_RESOURCE_NAME, f"offers {', '.join(others)}, not {name}")
    elif not has:
        yield Reason(Code.ALLOCATABLE_ZERO, f"has 0 {name}: its device plug-in was there once, and finds none now")
    elif not gives:
        why = "its device plug-in is gone, or has found all of them unhealthy"
        yield Reason(Code.ALLOCATABLE_ZERO, f"can give none of its {has} {name}: {why}")
    elif gives < has:
        yield Reason(Code.ALLOCATABLE_LT_CAPACITY, f"can give {gives} of its {has} {name}: the others are unhealthy")
    if 0 < has < (told := _told(labels, want)):
        yield Reason(Code.FEWER_THAN_LABELLED, f"has {has} {name}, and its labels say {told}")
    for key, good in want.vendor.partitions:
        if key in labels and labels[key] != good:
            yield Reason(Code.PARTITION_DRIFT, f"has {key}={labels[key]}: a repartition is not over, or failed")
    profile = labels.get(want.vendor.profile, "").lower() if want.vendor.profile else ""
    profiled = [one for one in capacity if one != want.vendor.resource and capacity[one]]
    if profile and profiled and not any(one.endswith(f"/{profile}") for one in profiled):
        line = f"says it is partitioned as {profile}, and offers {', '.join(sorted(profiled))}"
        yield Reason(Code.PARTITION_DRIFT, line)


def _told(labels: Mapping[str, str], want: Want) -> int:
    """How many GPUs the labels say there are, where whole ones are asked for; 0 where they say nothing."""
    if want.asks_for != want.vendor.resource:
        return 0
    return next((int(labels[key]) for key in want.vendor.counts if labels.get(key, "").isdigit()), 0)


def _room(node: Object, here: list[Object] | None, want: Want, left: int | None) -> Iterable[Reason]:
    if here is None:
        return
    if want.count and left is not None and left < want.count:
        gives = want.vendor.offered(node).get(want.asks_for, 0)
        if left <= 0:
            yield Reason(Code.ALL_IN_USE, f"has no free {want.asks_for}: {gives} of {gives} in use")
        else:
            yield Reason(Code.TOO_FEW_FREE, f"has {left} of {gives} {want.asks_for} free, not {want.count}")
    for name, amount in want.requests.items():
        if lacks := short(node, here, name, amount):
            yield Reason(Code.INSUFFICIENT, lacks)


def _conditions(node: Object) -> list[Mapping[str, Any]]:
    return list((node.get("status") or {}).get("conditions") or ())


def _covers(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("key") not in (None, "", taint["key"]):
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(toleration.get("key")) and (toleration.get("value") or "") == (taint.get("value") or "")


def _shape(node: Object, vendor: Vendor) -> str:
    """What a node is, for who looks at many: its instance type, else its GPU."""
    labels = node["metadata"].get("labels") or {}
    machine = str(labels.get("node.kubernetes.io/instance-type") or "")
    return machine or (vendor.type_of(node) if vendor.signs(node) else "")
