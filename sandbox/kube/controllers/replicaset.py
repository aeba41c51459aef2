"""ReplicaSets: as many pods as asked for, and the status that says how many are ready."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.kube.controllers import pods
from sandbox.kube.controllers.loop import ControlLoop, Item
from sandbox.kube.errors import StatusError
from sandbox.kube.objects import Object, get, is_deleting, is_terminal, name_of
from sandbox.kube.resources import PODS, REPLICA_SETS
from sandbox.kube.selectors import matches_selector
from sandbox.kube.store import Event

COMPONENT = "replicaset-controller"


class ReplicaSetController(ControlLoop):
    """Creates and deletes the pods of each ReplicaSet."""

    def concerns(self, event: Event) -> Iterable[Item]:
        if event.key == REPLICA_SETS.key and event.type != "DELETED":
            yield event.key, name_of(event.object)
        elif event.key == PODS.key:
            yield from pods.owners_item(event, REPLICA_SETS)

    def reconcile(self, item: Item) -> None:
        replica_set = self.store.get(REPLICA_SETS.key, *item[1])
        if replica_set is None or is_deleting(replica_set):
            return
        failure = self._scale(replica_set)
        self._write_status(replica_set)
        if failure is not None:
            raise failure

    def _pods(self, replica_set: Object) -> list[Object]:
        owned = pods.controlled(self.cluster, replica_set)
        return [pod for pod in owned if not is_deleting(pod) and not is_terminal(pod)]

    def _scale(self, replica_set: Object) -> StatusError | None:
        present, wanted = self._pods(replica_set), get(replica_set, "spec.replicas", 0)
        try:
            for _ in range(len(present), wanted):
                pod = pods.of_template(replica_set, generateName=f"{replica_set['metadata']['name']}-")
                pods.create(self.cluster, COMPONENT, replica_set, pod)
        except StatusError as error:
            return error
        for pod in sorted(present, key=_cost)[: max(0, len(present) - wanted)]:
            pods.delete(self.cluster, COMPONENT, replica_set, pod)
        return None

    def _write_status(self, replica_set: Object) -> None:
        present = self._pods(replica_set)
        template_labels = {"matchLabels": get(replica_set, "spec.template.metadata.labels", {})}
        ready = sum(map(pods.is_ready, present))
        counts = {
            "fullyLabeledReplicas": sum(
                matches_selector(template_labels, pod["metadata"].get("labels")) for pod in present
            ),
            "readyReplicas": ready,
            "availableReplicas": ready,
        }
        status = {
            "replicas": len(present),
            **{name: count for name, count in counts.items() if count},
            "observedGeneration": replica_set["metadata"]["generation"],
        }
        self.cluster.write_status(REPLICA_SETS, replica_set, status)


def _cost(pod: Object) -> tuple[bool, bool, bool, float]:
    """Which pod goes first when there are too many: unscheduled, then pending, then not ready, then the newest."""
    started = -int(pod["metadata"]["resourceVersion"])
    phase = get(pod, "status.phase")
    return bool(get(pod, "spec.nodeName")), phase == "Running", pods.is_ready(pod), started
