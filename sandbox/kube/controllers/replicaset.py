"""ReplicaSets: as many pods as asked for, and the status that says how many are ready."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.kube.controllers.loop import ControlLoop, Item
from sandbox.kube.errors import StatusError
from sandbox.kube.objects import (
    Object,
    clone,
    condition_is,
    controller_reference,
    controller_uid,
    get,
    is_deleting,
    is_terminal,
    name_of,
)
from sandbox.kube.recorder import record
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
            for reference in event.object["metadata"].get("ownerReferences") or []:
                if reference.get("controller") and reference["kind"] == "ReplicaSet":
                    yield REPLICA_SETS.key, (name_of(event.object)[0], reference["name"])

    def reconcile(self, item: Item) -> None:
        replica_set = self.store.get(REPLICA_SETS.key, *item[1])
        if replica_set is None or is_deleting(replica_set):
            return
        failure = self._scale(replica_set)
        self._write_status(replica_set)
        if failure is not None:
            raise failure

    def _pods(self, replica_set: Object) -> list[Object]:
        namespace, uid = name_of(replica_set)[0], replica_set["metadata"]["uid"]
        owned = [pod for pod in self.cluster.list(PODS, namespace) if controller_uid(pod) == uid]
        return [pod for pod in owned if not is_deleting(pod) and not is_terminal(pod)]

    def _scale(self, replica_set: Object) -> StatusError | None:
        pods, wanted = self._pods(replica_set), get(replica_set, "spec.replicas", 0)
        try:
            for _ in range(len(pods), wanted):
                self._create_pod(replica_set)
        except StatusError as error:
            record(self.cluster, COMPONENT, replica_set, "Warning", "FailedCreate", f"Error creating: {error}")
            return error
        for pod in sorted(pods, key=_cost)[: max(0, len(pods) - wanted)]:
            self.cluster.delete(PODS, pod)
            message = f"Deleted pod: {pod['metadata']['name']}"
            record(self.cluster, COMPONENT, replica_set, "Normal", "SuccessfulDelete", message)
        return None

    def _create_pod(self, replica_set: Object) -> None:
        template = clone(replica_set["spec"]["template"])
        metadata = template.get("metadata") or {}
        pod = {
            "metadata": {
                **{key: metadata[key] for key in ("labels", "annotations", "finalizers") if key in metadata},
                "generateName": f"{replica_set['metadata']['name']}-",
                "ownerReferences": [controller_reference(replica_set)],
            },
            "spec": template["spec"],
        }
        created = self.cluster.create(PODS, name_of(replica_set)[0], pod)
        message = f"Created pod: {created['metadata']['name']}"
        record(self.cluster, COMPONENT, replica_set, "Normal", "SuccessfulCreate", message)

    def _write_status(self, replica_set: Object) -> None:
        pods = self._pods(replica_set)
        template_labels = {"matchLabels": get(replica_set, "spec.template.metadata.labels", {})}
        ready = sum(condition_is(pod, "Ready") for pod in pods)
        counts = {
            "fullyLabeledReplicas": sum(
                matches_selector(template_labels, pod["metadata"].get("labels")) for pod in pods
            ),
            "readyReplicas": ready,
            "availableReplicas": ready,
        }
        status = {
            "replicas": len(pods),
            **{name: count for name, count in counts.items() if count},
            "observedGeneration": replica_set["metadata"]["generation"],
        }
        self.cluster.write_status(REPLICA_SETS, replica_set, status)


def _cost(pod: Object) -> tuple[bool, bool, bool, float]:
    """Which pod goes first when there are too many: unscheduled, then pending, then not ready, then the newest."""
    started = -int(pod["metadata"]["resourceVersion"])
    phase = get(pod, "status.phase")
    return bool(get(pod, "spec.nodeName")), phase == "Running", condition_is(pod, "Ready"), started
