"""DaemonSets: one pod on every node that fits."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

from sandbox.kube.controllers import pods
from sandbox.kube.controllers.deployment import share
from sandbox.kube.controllers.loop import ControlLoop, Item
from sandbox.kube.objects import Object, get, is_deleting, is_terminal, name_of
from sandbox.kube.recorder import record
from sandbox.kube.resources import DAEMON_SETS, NODES, PODS
from sandbox.kube.scheduler import affine, schedulability, tolerates
from sandbox.kube.store import Event

COMPONENT = "daemonset-controller"
REVISION = "controller-revision-hash"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
# A daemon stays on a node in trouble, and goes to one that is cordoned.
TOLERATIONS = [
    *(
        {"key": f"node.kubernetes.io/{trouble}", "operator": "Exists", "effect": "NoExecute"}
        for trouble in ("not-ready", "unreachable")
    ),
    *(
        {"key": f"node.kubernetes.io/{trouble}", "operator": "Exists", "effect": "NoSchedule"}
        for trouble in ("disk-pressure", "memory-pressure", "pid-pressure", "unschedulable")
    ),
]


class DaemonSetController(ControlLoop):
    """Creates and deletes the pods of each DaemonSet; the scheduler binds each to the node it was made for."""

    def concerns(self, event: Event) -> Iterable[Item]:
        if event.key == DAEMON_SETS.key and event.type != "DELETED":
            yield event.key, name_of(event.object)
        elif event.key == PODS.key:
            yield from pods.owners_item(event, DAEMON_SETS)
        elif event.key == NODES.key and (
            event.type == "DELETED" or schedulability(event.previous) != schedulability(event.object)
        ):
            yield from ((DAEMON_SETS.key, name_of(daemons)) for daemons in self.cluster.list(DAEMON_SETS))

    def reconcile(self, item: Item) -> None:
        daemons = self.store.get(DAEMON_SETS.key, *item[1])
        if daemons is None or is_deleting(daemons):
            return
        revision = pods.template_hash(daemons["spec"]["template"])
        try:
            self._place(daemons, revision)
            if get(daemons, "spec.updateStrategy.type") == "RollingUpdate":
                self._roll(daemons, revision)
        finally:
            self._write_status(daemons, revision)

    def _by_node(self, daemons: Object) -> dict[str, list[Object]]:
        found = defaultdict(list)
        for pod in pods.controlled(self.cluster, daemons):
            if not is_deleting(pod):
                found[_node_of(pod)].append(pod)
        return found

    def _place(self, daemons: Object, revision: str) -> None:
        by_node = self._by_node(daemons)
        for node in self.cluster.list(NODES):
            made_for, name = _pod_for(daemons, node, revision), node["metadata"]["name"]
            present = by_node.pop(name, [])
            for pod in present:
                if is_terminal(pod):
                    self._replace(daemons, pod)
                elif not affine(made_for, node) or not tolerates(made_for, node, "NoExecute"):
                    pods.delete(self.cluster, COMPONENT, daemons, pod)
            if not present and _should_run(made_for, node) and not self._leaving(daemons, name):
                pods.create(self.cluster, COMPONENT, daemons, made_for)
        for gone in by_node.values():
            for pod in gone:
                pods.delete(self.cluster, COMPONENT, daemons, pod)

    def _leaving(self, daemons: Object, node: str) -> bool:
        """Whether a pod there is still ending: its successor waits."""
        return any(_node_of(pod) == node for pod in pods.controlled(self.cluster, daemons))

    def _replace(self, daemons: Object, pod: Object) -> None:
        """One that ended, by eviction say, makes room for another."""
        where = f"{'/'.join(name_of(pod))} on node {_node_of(pod)}"
        message = f"Found failed daemon pod {where}, will try to kill it"
        record(self.cluster, COMPONENT, daemons, "Warning", "FailedDaemonPod", message)
        pods.delete(self.cluster, COMPONENT, daemons, pod)

    def _roll(self, daemons: Object, revision: str) -> None:
        present = [pod for found in self._by_node(daemons).values() for pod in found]
        old = [pod for pod in present if pod["metadata"]["labels"][REVISION] != revision]
        wanted = self._desired(daemons, revision)
        allowed = share(get(daemons, "spec.updateStrategy.rollingUpdate.maxUnavailable", 1), wanted, math.ceil)
        spare = allowed - (wanted - sum(map(pods.is_ready, present)))
        for pod in sorted(old, key=pods.is_ready):
            if pods.is_ready(pod):
                spare -= 1
                if spare < 0:
                    return
            pods.delete(self.cluster, COMPONENT, daemons, pod)

    def _desired(self, daemons: Object, revision: str) -> int:
        nodes = self.cluster.list(NODES)
        return sum(_should_run(_pod_for(daemons, node, revision), node) for node in nodes)

    def _write_status(self, daemons: Object, revision: str) -> None:
        nodes = {node["metadata"]["name"]: node for node in self.cluster.list(NODES)}
        present = {name: found for name, found in self._by_node(daemons).items() if name in nodes}
        wanted = {name for name, node in nodes.items() if _should_run(_pod_for(daemons, node, revision), node)}
        running = [pod for name in wanted for pod in present.get(name, [])]
        ready = sum(map(pods.is_ready, running))
        counts = {
            "updatedNumberScheduled": sum(pod["metadata"]["labels"][REVISION] == revision for pod in running),
            "numberAvailable": ready,
            "numberUnavailable": len(wanted) - ready,
        }
        status = {
            "currentNumberScheduled": len(wanted & present.keys()),
            "numberMisscheduled": len(present.keys() - wanted),
            "desiredNumberScheduled": len(wanted),
            "numberReady": ready,
            "observedGeneration": daemons["metadata"]["generation"],
            **{name: count for name, count in counts.items() if count},
        }
        self.cluster.write_status(DAEMON_SETS, daemons, status)


def _pod_for(daemons: Object, node: Object, revision: str) -> Object:
    labels = {REVISION: revision, "pod-template-generation": str(daemons["metadata"]["generation"])}
    pod = pods.of_template(daemons, labels, generateName=f"{daemons['metadata']['name']}-")
    spec = pod["spec"]
    spec["tolerations"] = [*(spec.get("tolerations") or []), *TOLERATIONS]
    affinity = spec.setdefault("affinity", {}).setdefault("nodeAffinity", {})
    here = {"key": "metadata.name", "operator": "In", "values": [node["metadata"]["name"]]}
    terms = get(affinity, f"{REQUIRED}.nodeSelectorTerms", [{}])
    affinity[REQUIRED] = {"nodeSelectorTerms": [{**term, "matchFields": [here]} for term in terms]}
    return pod


def _node_of(pod: Object) -> str:
    """The node that the pod was made for."""
    terms = get(pod, f"spec.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms")
    return str(terms[0]["matchFields"][0]["values"][0])


def _should_run(pod: Object, node: Object) -> bool:
    return affine(pod, node) and tolerates(pod, node, "NoSchedule", "NoExecute")
