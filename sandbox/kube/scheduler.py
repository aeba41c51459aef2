"""The scheduler: binds pods to nodes they fit on, or says why none fits, in kube-scheduler's words (1.36)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from sandbox.kube import preemption, quantities
from sandbox.kube.cluster import Cluster
from sandbox.kube.controllers.loop import ControlLoop, Item
from sandbox.kube.objects import Object, get, is_deleting, is_terminal, name_of, with_condition
from sandbox.kube.recorder import record
from sandbox.kube.resources import NODES, PODS
from sandbox.kube.selectors import matches_expression
from sandbox.kube.store import Event

NAME = "default-scheduler"
NOT_HELPFUL = "Preemption is not helpful for scheduling"
NO_CLAIMS = "no new claims to deallocate, preemption:"
NO_VICTIMS = "No preemption victims found for incoming pod"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"

Resources = dict[str, Fraction]


@dataclass(frozen=True)
class Misfit:
    """Why one node cannot have a pod. `preemptable`: evicting others could change that."""

    reasons: tuple[str, ...]
    preemptable: bool = False


@dataclass
class _Node:
    """A node with its pods, those included for whom it was made free."""

    node: Object
    pods: list[Object] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.node["metadata"]["name"])

    @property
    def used(self) -> Resources:
        total: Resources = {}
        for pod in self.pods:
            for name, amount in requests(pod).items():
                total[name] = total.get(name, Fraction(0)) + amount
        return total

    @property
    def allocatable(self) -> Resources:
        return {name: quantities.parse(value) for name, value in get(self.node, "status.allocatable", {}).items()}


class Scheduler(ControlLoop):
    """Looks at every pod without a node, again whenever nodes change or pods make room."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._waiting: set[Item] = set()

    def concerns(self, event: Event) -> Iterable[Item]:
        if event.key == PODS.key:
            item = (event.key, name_of(event.object))
            if event.type == "DELETED":
                self._waiting.discard(item)
            elif event.type == "ADDED" and not get(event.object, "spec.nodeName"):
                yield item
            if event.type == "DELETED" or is_terminal(event.object):
                yield from self._waiting
        elif event.key == NODES.key and schedulability(event.previous) != schedulability(event.object):
            yield from self._waiting

    def reconcile(self, item: Item) -> None:
        pod = self.store.get(PODS.key, *item[1])
        if pod is None or is_deleting(pod) or get(pod, "spec.nodeName"):
            self._waiting.discard(item)
            return
        misfits = [(node, misfit(pod, node)) for node in self._nodes(pod)]
        fitting = [node for node, why in misfits if why is None]
        if fitting:
            self._waiting.discard(item)
            self._bind(pod, min(fitting, key=lambda node: (len(node.pods), node.name)).node)
        else:
            self._waiting.add(item)
            self._refuse(pod, [(node, why) for node, why in misfits if why is not None])

    def _nodes(self, pod: Object) -> list[_Node]:
        """As the pod finds them: what was made free for another one is not for those below that."""
        nodes = {node["metadata"]["name"]: _Node(node) for node in self.cluster.list(NODES)}
        own = preemption.priority(self.cluster, pod)
        for other in self.cluster.list(PODS):
            bound = get(other, "spec.nodeName")
            node = nodes.get(bound or preemption.nominated(other))
            if node is None or is_terminal(other) or name_of(other) == name_of(pod):
                continue
            if bound or preemption.priority(self.cluster, other) >= own:
                node.pods.append(other)
        return list(nodes.values())

    def _bind(self, pod: Object, node: Object) -> None:
        scheduled = {"type": "PodScheduled", "status": "True", "lastProbeTime": None}
        conditions = with_condition(get(pod, "status.conditions", []), scheduled)
        name = node["metadata"]["name"]
        bound = {
            **pod,
            "metadata": dict(pod["metadata"]),
            "spec": {**pod["spec"], "nodeName": name},
            "status": {**pod["status"], "conditions": conditions},
        }
        bound["status"].pop("nominatedNodeName", None)
        self.store.write(PODS.key, "MODIFIED", bound, pod)
        message = f"Successfully assigned {'/'.join(name_of(pod))} to {name}"
        record(self.cluster, NAME, bound, "Normal", "Scheduled", message)

    def _refuse(self, pod: Object, misfits: list[tuple[_Node, Misfit]]) -> None:
        there = next((node.pods for node, _ in misfits if node.name == preemption.nominated(pod)), [])
        ineligible = preemption.ineligible(self.cluster, pod, there)
        node, victims = ("", []) if ineligible else self._candidate(pod, misfits)
        message = explain([why for _, why in misfits], ineligible, helped=bool(victims))
        unscheduled = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "lastProbeTime": None,
        }
        conditions = with_condition(get(pod, "status.conditions", []), unscheduled)
        status = {**pod["status"], "conditions": conditions, **({"nominatedNodeName": node} if node else {})}
        pod = self.cluster.write_status(PODS, pod, status)
        record(self.cluster, NAME, pod, "Warning", "FailedScheduling", message)
        for victim in victims:
            preemption.drive_out(self.cluster, NAME, victim, pod)

    def _candidate(self, pod: Object, misfits: list[tuple[_Node, Misfit]]) -> tuple[str, list[Object]]:
        """The node where the fewest and lowest have to go, and who they are; empty where that helps nowhere."""
        found = []
        for node in (node for node, why in misfits if why.preemptable):

            def fits(pods: list[Object], node: Object = node.node) -> bool:
                return misfit(pod, _Node(node, pods)) is None

            if gone := preemption.victims(self.cluster, pod, node.pods, fits):
                levels = [preemption.priority(self.cluster, one) for one in gone]
                found.append(((max(levels), len(gone), node.name), gone))
        if not found:
            return "", []
        (_, _, name), gone = min(found, key=lambda one: one[0])
        return name, gone


def schedulability(node: Object | None) -> Object | None:
    """What of a node decides about pods; its heartbeats do not."""
    if node is None:
        return None
    return {
        "labels": get(node, "metadata.labels"),
        "spec": node.get("spec"),
        "allocatable": get(node, "status.allocatable"),
        "deleted": is_deleting(node),
    }


def explain(misfits: list[Misfit], ineligible: str = "", *, helped: bool = False) -> str:
    """The text of FailedScheduling for the nodes' misfits; of preemption it says why it does not help."""
    if not misfits:
        return "no nodes available to schedule pods"
    filters = Counter(reason for why in misfits for reason in why.reasons)
    others = Counter(NO_VICTIMS if why.preemptable else NOT_HELPFUL for why in misfits)
    unavailable = f"0/{len(misfits)} nodes are available:"
    said = f"{unavailable} {_counted(filters)}."
    return said if helped else f"{said} {NO_CLAIMS} {ineligible or f'{unavailable} {_counted(others)}.'}"


def _counted(reasons: Counter[str]) -> str:
    return ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))


def misfit(pod: Object, node: _Node) -> Misfit | None:
    """Why the pod cannot run on the node, by the first filter that refuses (kube-scheduler's order), or None."""
    spec = get(node.node, "spec", {})
    cordon = {"key": UNSCHEDULABLE, "effect": "NoSchedule"}
    if spec.get("unschedulable") and not _tolerated(cordon, get(pod, "spec.tolerations", [])):
        return Misfit(("node(s) were unschedulable",))
    if not tolerates(pod, node.node, "NoSchedule", "NoExecute"):
        return Misfit(("node(s) had untolerated taint(s)",))
    if not affine(pod, node.node):
        return Misfit(("node(s) didn't match Pod's node affinity/selector",))
    return _unfit(pod, node)


def _tolerated(taint: Object, tolerations: list[Object]) -> bool:
    return any(
        item.get("effect") in (None, "", taint["effect"])
        and item.get("key") in (None, "", taint["key"])
        and (item.get("operator") == "Exists" or item.get("value", "") == taint.get("value", ""))
        for item in tolerations
    )


def tolerates(pod: Object, node: Object, *effects: str) -> bool:
    """Whether the pod tolerates all taints of these effects that the node has."""
    hard = [taint for taint in get(node, "spec.taints", []) if taint["effect"] in effects]
    return all(_tolerated(taint, get(pod, "spec.tolerations", [])) for taint in hard)


def affine(pod: Object, node: Object) -> bool:
    """Whether the node is one that the pod's node selector and required node affinity ask for."""
    labels, fields = get(node, "metadata.labels", {}), {"metadata.name": node["metadata"]["name"]}
    selector = get(pod, "spec.nodeSelector", {})
    if any(labels.get(key) != value for key, value in selector.items()):
        return False
    required = get(pod, "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    return any(
        all(matches_expression(expression, labels) for expression in term.get("matchExpressions") or [])
        and all(matches_expression(expression, fields) for expression in term.get("matchFields") or [])
        for term in required["nodeSelectorTerms"]
    )


def _unfit(pod: Object, node: _Node) -> Misfit | None:
    allocatable, used = node.allocatable, node.used
    reasons, preemptable = [], True
    if len(node.pods) + 1 > allocatable.get("pods", Fraction(110)):
        reasons.append("Too many pods")
    for name, amount in requests(pod).items():
        available = allocatable.get(name, Fraction(0))
        if amount > available - used.get(name, Fraction(0)):
            reasons.append(f"Insufficient {name}")
            # What the empty node could not give, no eviction can.
            preemptable = preemptable and amount <= available
    return Misfit(tuple(reasons), preemptable) if reasons else None


def requests(pod: Object) -> Resources:
    """What a pod asks for: the sum over its containers, or one init container where that asks for more."""
    total: Resources = {}
    for container in get(pod, "spec.containers", []):
        for name, amount in _requests(container).items():
            total[name] = total.get(name, Fraction(0)) + amount
    for container in get(pod, "spec.initContainers", []):
        for name, amount in _requests(container).items():
            total[name] = max(total.get(name, Fraction(0)), amount)
    return total


def _requests(container: Object) -> Resources:
    asked = get(container, "resources.requests", {})
    return {name: quantities.parse(value) for name, value in asked.items()}
