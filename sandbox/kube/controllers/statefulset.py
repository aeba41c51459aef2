"""StatefulSets: pods with stable names, made in order, replaced in reverse."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.kube.controllers import pods
from sandbox.kube.controllers.loop import ControlLoop, Item
from sandbox.kube.errors import StatusError
from sandbox.kube.objects import Object, get, is_deleting, is_terminal, name_of
from sandbox.kube.recorder import record
from sandbox.kube.resources import PODS, STATEFUL_SETS
from sandbox.kube.store import Event

COMPONENT = "statefulset-controller"
REVISION = "controller-revision-hash"


class StatefulSetController(ControlLoop):
    """Creates, replaces and deletes the pods of each StatefulSet, one at a time unless it is Parallel."""

    def concerns(self, event: Event) -> Iterable[Item]:
        if event.key == STATEFUL_SETS.key and event.type != "DELETED":
            yield event.key, name_of(event.object)
        elif event.key == PODS.key:
            yield from pods.owners_item(event, STATEFUL_SETS)

    def reconcile(self, item: Item) -> None:
        stateful_set = self.store.get(STATEFUL_SETS.key, *item[1])
        if stateful_set is None or is_deleting(stateful_set):
            return
        revision = f"{item[1][1]}-{pods.template_hash(stateful_set['spec']['template'])}"
        failure = None
        try:
            self._converge(stateful_set, revision)
        except StatusError as error:
            failure = error
        self._write_status(stateful_set, revision)
        if failure is not None:
            raise failure

    def _present(self, stateful_set: Object) -> dict[int, Object]:
        found = pods.controlled(self.cluster, stateful_set)
        return {int(pod["metadata"]["name"].rpartition("-")[2]): pod for pod in found}

    def _converge(self, stateful_set: Object, revision: str) -> None:
        """The next step towards what is asked for; a change of the pods brings the step after it."""
        present, replicas = self._present(stateful_set), get(stateful_set, "spec.replicas", 1)
        one_by_one = get(stateful_set, "spec.podManagementPolicy") == "OrderedReady"
        for ordinal in range(replicas):
            pod = present.get(ordinal)
            if pod is None:
                self._create(stateful_set, ordinal, revision)
            elif is_terminal(pod) and not is_deleting(pod):
                self._delete(stateful_set, pod)
            if one_by_one and (pod is None or not _is_healthy(pod)):
                return
        for ordinal in sorted((number for number in present if number >= replicas), reverse=True):
            if not is_deleting(present[ordinal]):
                self._delete(stateful_set, present[ordinal])
            if one_by_one:
                return
        if get(stateful_set, "spec.updateStrategy.type") == "RollingUpdate":
            self._roll(stateful_set, revision)

    def _roll(self, stateful_set: Object, revision: str) -> None:
        present = self._present(stateful_set)
        first = get(stateful_set, "spec.updateStrategy.rollingUpdate.partition", 0)
        for ordinal in range(get(stateful_set, "spec.replicas", 1) - 1, first - 1, -1):
            pod = present.get(ordinal)
            if pod is None:
                return
            if pod["metadata"]["labels"][REVISION] != revision and not is_deleting(pod):
                self._delete(stateful_set, pod)
                return
            if not _is_healthy(pod):
                return

    def _create(self, stateful_set: Object, ordinal: int, revision: str) -> None:
        name = f"{stateful_set['metadata']['name']}-{ordinal}"
        labels = {
            "apps.kubernetes.io/pod-index": str(ordinal),
            REVISION: revision,
            "statefulset.kubernetes.io/pod-name": name,
        }
        pod = pods.of_template(stateful_set, labels, name=name)
        pod["spec"].update(hostname=name, subdomain=get(stateful_set, "spec.serviceName", ""))
        try:
            pods.admitted(self.cluster, COMPONENT, name_of(stateful_set)[0], pod)
        except StatusError as error:
            self._record(stateful_set, "Warning", "FailedCreate", f"create Pod {name}", f"failed error: {error}")
            raise
        self._record(stateful_set, "Normal", "SuccessfulCreate", f"create Pod {name}", "successful")

    def _delete(self, stateful_set: Object, pod: Object) -> None:
        self.cluster.delete(PODS, pod)
        done = f"delete Pod {pod['metadata']['name']}"
        self._record(stateful_set, "Normal", "SuccessfulDelete", done, "successful")

    def _record(self, stateful_set: Object, kind: str, reason: str, done: str, outcome: str) -> None:
        message = f"{done} in StatefulSet {stateful_set['metadata']['name']} {outcome}"
        record(self.cluster, COMPONENT, stateful_set, kind, reason, message)

    def _write_status(self, stateful_set: Object, revision: str) -> None:
        present = list(self._present(stateful_set).values())
        current = get(stateful_set, "status.currentRevision", revision)
        ready = sum(map(pods.is_ready, present))
        updated = _of_revision(present, revision)
        if updated == ready == len(present):
            current = revision
        counts = {
            "readyReplicas": ready,
            "currentReplicas": _of_revision(present, current),
            "updatedReplicas": updated,
        }
        status = {
            "replicas": len(present),
            "availableReplicas": ready,
            **{name: count for name, count in counts.items() if count},
            "currentRevision": current,
            "updateRevision": revision,
            "collisionCount": 0,
            "observedGeneration": stateful_set["metadata"]["generation"],
        }
        self.cluster.write_status(STATEFUL_SETS, stateful_set, status)


def _is_healthy(pod: Object) -> bool:
    return pods.is_ready(pod) and not is_deleting(pod) and not is_terminal(pod)


def _of_revision(present: list[Object], revision: str) -> int:
    return sum(pod["metadata"]["labels"][REVISION] == revision and not is_deleting(pod) for pod in present)
