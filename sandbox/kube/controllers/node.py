"""Node lifecycle: a node's trouble becomes taints, which is how the scheduler sees it."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.kube.controllers.loop import ControlLoop, Item
from sandbox.kube.objects import Object, condition, get, timestamp
from sandbox.kube.resources import NODES
from sandbox.kube.store import Event

# The taint for each status of the condition Ready that is not True.
NOT_READY = {"False": "node.kubernetes.io/not-ready", "Unknown": "node.kubernetes.io/unreachable"}
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
OURS = (*NOT_READY.values(), UNSCHEDULABLE)


class NodeController(ControlLoop):
    """Sets and clears the taints of nodes that are not ready or cordoned."""

    def concerns(self, event: Event) -> Iterable[Item]:
        if event.key == NODES.key and event.type != "DELETED":
            yield event.key, ("", event.object["metadata"]["name"])

    def reconcile(self, item: Item) -> None:
        node = self.store.get(NODES.key, *item[1])
        if node is None:
            return
        taints = get(node, "spec.taints", [])
        wanted = _wanted(node)
        kept = [taint for taint in taints if taint["key"] not in OURS or _identity(taint) in wanted]
        present = {_identity(taint) for taint in kept}
        added = [
            {"key": key, "effect": effect, "timeAdded": timestamp()}
            for key, effect in wanted
            if (key, effect) not in present
        ]
        if added or kept != taints:
            spec = {**node["spec"], "taints": kept + added}
            if not spec["taints"]:
                del spec["taints"]
            self.cluster.update(NODES, node, {**node, "spec": spec})


def _identity(taint: Object) -> tuple[str, str]:
    return taint["key"], taint["effect"]


def _wanted(node: Object) -> list[tuple[str, str]]:
    wanted = [(UNSCHEDULABLE, "NoSchedule")] if get(node, "spec.unschedulable") else []
    ready = condition(node, "Ready") or {"status": "False"}
    if ready["status"] in NOT_READY:
        key = NOT_READY[ready["status"]]
        wanted += [(key, "NoSchedule"), (key, "NoExecute")]
    return wanted
