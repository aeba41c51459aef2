"""Deployments: one ReplicaSet per template, rolled over as the strategy says."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sandbox import clock
from sandbox.kube.cluster import Cluster
from sandbox.kube.controllers import pods
from sandbox.kube.controllers.loop import ControlLoop, Item
from sandbox.kube.objects import (
    Object,
    clone,
    condition,
    controller_reference,
    controller_uid,
    get,
    is_deleting,
    name_of,
    timestamp,
    with_condition,
)
from sandbox.kube.recorder import record
from sandbox.kube.resources import DEPLOYMENTS, PODS, REPLICA_SETS, Resource
from sandbox.kube.store import Event

COMPONENT = "deployment-controller"
HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
RECREATE = "Recreate"


@dataclass
class _Rollout:
    """A Deployment with its ReplicaSets: the one of its present template, and older ones."""

    deployment: Object
    new: Object
    old: list[Object]

    @property
    def wanted(self) -> int:
        return int(get(self.deployment, "spec.replicas", 1))

    def total(self, path: str) -> int:
        """A field's sum over all ReplicaSets."""
        return sum(get(item, path, 0) for item in (self.new, *self.old))

    def is_complete(self) -> bool:
        """Every replica is of the new template and available, and no old one is left."""
        return (
            get(self.new, "status.replicas", 0) == self.wanted
            and get(self.new, "status.availableReplicas", 0) >= self.wanted
            and self.total("status.replicas") == self.wanted
        )


class DeploymentController(ControlLoop):
    """Creates and scales the ReplicaSets of each Deployment."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._progress: dict[str, tuple[object, float]] = {}  # by uid: what was last seen, and since when

    def concerns(self, event: Event) -> Iterable[Item]:
        if event.key == DEPLOYMENTS.key:
            if event.type == "DELETED":
                self._progress.pop(event.object["metadata"]["uid"], None)
            else:
                yield event.key, name_of(event.object)
        elif event.key == REPLICA_SETS.key:
            yield from pods.owners_item(event, DEPLOYMENTS)
        elif event.key == PODS.key and event.type == "DELETED":
            # A Recreate waits until the old pods are gone, which no ReplicaSet's status shows.
            for deployment in self.cluster.list(DEPLOYMENTS, name_of(event.object)[0]):
                if get(deployment, "spec.strategy.type") == RECREATE:
                    yield DEPLOYMENTS.key, name_of(deployment)

    def reconcile(self, item: Item) -> None:
        deployment = self.store.get(DEPLOYMENTS.key, *item[1])
        if deployment is None or is_deleting(deployment):
            return
        rollout = self._rollout(deployment)
        if get(deployment, "spec.strategy.type") == RECREATE:
            self._recreate(rollout)
        else:
            self._roll(rollout)
        self._write_status(item, rollout)

    # -- ReplicaSets ---------------------------------------------------------------------------------------------------

    def _rollout(self, deployment: Object) -> _Rollout:
        namespace, uid = name_of(deployment)[0], deployment["metadata"]["uid"]
        owned = [item for item in self.cluster.list(REPLICA_SETS, namespace) if controller_uid(item) == uid]
        hashed = pods.template_hash(deployment["spec"]["template"])
        new = next((item for item in owned if item["metadata"]["labels"].get(HASH_LABEL) == hashed), None)
        revisions = [int(get(item, "metadata.annotations", {}).get(REVISION, 0)) for item in owned if item is not new]
        revision = str(max(revisions, default=0) + 1)
        if new is None:
            new = self._create(deployment, hashed, revision)
        elif revisions and max(revisions) > int(new["metadata"]["annotations"][REVISION]):
            # An earlier template again: its ReplicaSet becomes the newest revision.
            annotations = {**new["metadata"]["annotations"], REVISION: revision}
            new = self._annotated(REPLICA_SETS, new, annotations)
        old = [item for item in owned if item["metadata"]["uid"] != new["metadata"]["uid"]]
        return _Rollout(self._with_revision(deployment, new), new, old)

    def _create(self, deployment: Object, hashed: str, revision: str) -> Object:
        spec = deployment["spec"]
        template = clone(spec["template"])
        metadata = template.setdefault("metadata", {})
        metadata["labels"] = {**(metadata.get("labels") or {}), HASH_LABEL: hashed}
        selector = clone(spec["selector"])
        selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: hashed}
        replica_set = {
            "metadata": {
                "name": f"{deployment['metadata']['name']}-{hashed}",
                "labels": dict(metadata["labels"]),
                "annotations": {REVISION: revision},
                "ownerReferences": [controller_reference(deployment)],
            },
            "spec": {"replicas": 0, "selector": selector, "template": template},
        }
        return self.cluster.create(REPLICA_SETS, name_of(deployment)[0], replica_set)

    def _with_revision(self, deployment: Object, new: Object) -> Object:
        annotations = get(deployment, "metadata.annotations", {})
        revision = new["metadata"]["annotations"][REVISION]
        if annotations.get(REVISION) == revision:
            return deployment
        return self._annotated(DEPLOYMENTS, deployment, {**annotations, REVISION: revision})

    def _annotated(self, resource: Resource, obj: Object, annotations: Object) -> Object:
        metadata = {**obj["metadata"], "annotations": annotations}
        return self.cluster.update(resource, obj, {**obj, "metadata": metadata})

    def _scale(self, rollout: _Rollout, replica_set: Object, replicas: int) -> Object:
        before = get(replica_set, "spec.replicas", 0)
        if replicas == before:
            return replica_set
        spec = {**replica_set["spec"], "replicas": replicas}
        scaled = self.cluster.update(REPLICA_SETS, replica_set, {**replica_set, "spec": spec})
        direction = "up" if replicas > before else "down"
        name = replica_set["metadata"]["name"]
        message = f"Scaled {direction} replica set {name} from {before} to {replicas}"
        record(self.cluster, COMPONENT, rollout.deployment, "Normal", "ScalingReplicaSet", message)
        return scaled

    # -- strategies ----------------------------------------------------------------------------------------------------

    def _recreate(self, rollout: _Rollout) -> None:
        rollout.old = [self._scale(rollout, item, 0) for item in rollout.old]
        namespace = name_of(rollout.deployment)[0]
        old = {item["metadata"]["uid"] for item in rollout.old}
        if not any(controller_uid(pod) in old for pod in self.cluster.list(PODS, namespace)):
            rollout.new = self._scale(rollout, rollout.new, rollout.wanted)

    def _roll(self, rollout: _Rollout) -> None:
        surge, unavailable = allowances(rollout.deployment)
        new = get(rollout.new, "spec.replicas", 0)
        room = rollout.wanted + surge - rollout.total("spec.replicas")
        if new > rollout.wanted:
            rollout.new = self._scale(rollout, rollout.new, rollout.wanted)
        elif room > 0:
            rollout.new = self._scale(rollout, rollout.new, min(new + room, rollout.wanted))
        self._scale_down(rollout, rollout.wanted - unavailable)

    def _scale_down(self, rollout: _Rollout, least: int) -> None:
        """Take old replicas away: those that are not available at once, others as long as `least` are available."""
        new_missing = get(rollout.new, "spec.replicas", 0) - get(rollout.new, "status.availableReplicas", 0)
        removable = rollout.total("spec.replicas") - least - new_missing
        rollout.old = [self._without_unavailable(rollout, item, removable) for item in rollout.old]
        spare = rollout.total("status.availableReplicas") - least
        for index, item in enumerate(rollout.old):
            replicas = get(item, "spec.replicas", 0)
            down = max(0, min(spare, replicas))
            spare -= down
            rollout.old[index] = self._scale(rollout, item, replicas - down)

    def _without_unavailable(self, rollout: _Rollout, replica_set: Object, removable: int) -> Object:
        replicas = get(replica_set, "spec.replicas", 0)
        broken = replicas - get(replica_set, "status.availableReplicas", 0)
        return self._scale(rollout, replica_set, replicas - max(0, min(broken, removable)))

    # -- status --------------------------------------------------------------------------------------------------------

    def _write_status(self, item: Item, rollout: _Rollout) -> None:
        available = rollout.total("status.availableReplicas")
        counts = {
            "replicas": rollout.total("status.replicas"),
            "updatedReplicas": get(rollout.new, "status.replicas", 0),
            "readyReplicas": rollout.total("status.readyReplicas"),
            "availableReplicas": available,
            "unavailableReplicas": max(0, rollout.total("spec.replicas") - available),
        }
        least = rollout.wanted - allowances(rollout.deployment)[1]
        enough = available >= least
        conditions = get(rollout.deployment, "status.conditions", [])
        conditions = _with(
            conditions,
            "Available",
            enough,
            "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
            f"Deployment {'has' if enough else 'does not have'} minimum availability.",
        )
        conditions = self._progressing(item, rollout, tuple(counts.values()), conditions)
        status = {
            "observedGeneration": rollout.deployment["metadata"]["generation"],
            **{name: count for name, count in counts.items() if count},
            "conditions": conditions,
        }
        self.cluster.write_status(DEPLOYMENTS, rollout.deployment, status)

    def _progressing(
        self, item: Item, rollout: _Rollout, counts: tuple[int, ...], conditions: list[Object]
    ) -> list[Object]:
        name, uid = rollout.new["metadata"]["name"], rollout.deployment["metadata"]["uid"]
        if rollout.is_complete():
            message = f'ReplicaSet "{name}" has successfully progressed.'
            self._progress.pop(uid, None)
            return _with(conditions, "Progressing", True, "NewReplicaSetAvailable", message)
        progressing = condition(rollout.deployment, "Progressing") or {}
        all_new = rollout.total("status.replicas") == get(rollout.new, "status.replicas", 0)
        if progressing.get("reason") == "NewReplicaSetAvailable" and all_new:
            # A finished rollout that lost a pod, or was scaled, is not rolled out again.
            return conditions
        seen = (name, counts)
        if uid not in self._progress or self._progress[uid][0] != seen:
            self._progress[uid] = (seen, time.monotonic())
        since = self._progress[uid][1]
        deadline = clock.scaled(get(rollout.deployment, "spec.progressDeadlineSeconds", 600))
        left = since + deadline - time.monotonic()
        if left <= 0:
            message = f'ReplicaSet "{name}" has timed out progressing.'
            return _with(conditions, "Progressing", False, "ProgressDeadlineExceeded", message)
        self.look_again(item, left)
        if not any(counts[:2]):
            message = f'Created new replica set "{name}"'
            return _with(conditions, "Progressing", True, "NewReplicaSetCreated", message)
        return _with(conditions, "Progressing", True, "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.')


def _with(conditions: list[Object], kind: str, holds: bool, reason: str, message: str) -> list[Object]:
    new = {"type": kind, "status": str(holds), "reason": reason, "message": message}
    old = next((item for item in conditions if item["type"] == kind), None)
    if old is not None and all(old.get(key) == value for key, value in new.items()):
        return conditions
    return with_condition(conditions, {**new, "lastUpdateTime": timestamp()})


def allowances(deployment: Object) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) in pods: percentages round up and down; not both may be 0."""
    wanted, rolling = get(deployment, "spec.replicas", 1), get(deployment, "spec.strategy.rollingUpdate", {})
    surge = share(rolling.get("maxSurge", 0), wanted, math.ceil)
    unavailable = min(share(rolling.get("maxUnavailable", 0), wanted, math.floor), wanted)
    return surge, unavailable if surge or unavailable else 1


def share(value: int | str, whole: int, rounding: Callable[[float], int]) -> int:
    """A number of pods, given as such or as a percentage of `whole`."""
    if isinstance(value, str) and value.endswith("%"):
        return rounding(int(value[:-1]) * whole / 100)
    return int(value)
