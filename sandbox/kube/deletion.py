"""How a delete goes: preconditions, finalizers, propagation policies, a pod's grace period."""

from __future__ import annotations

from sandbox.kube.errors import precondition_failed
from sandbox.kube.objects import Object, get, is_deleting, is_terminal, timestamp
from sandbox.kube.resources import Resource

POLICY_FINALIZERS = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}


def check_preconditions(resource: Resource, obj: Object, preconditions: Object) -> None:
    """409 when the uid or resourceVersion is another one."""
    for field, name in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        wanted, actual = preconditions.get(field), obj["metadata"][field]
        if wanted and wanted != actual:
            why = f"the {name} in the precondition ({wanted}) does not match the {name} in record ({actual}). "
            why += "The object might have been deleted and then recreated"
            raise precondition_failed(resource, obj["metadata"]["name"], why)


def mark(resource: Resource, obj: Object, options: Object) -> Object | None:
    """The object marked as being deleted, or None when it can go at once."""
    metadata = dict(obj["metadata"])
    finalizers = _finalizers(metadata.get("finalizers") or [], options.get("propagationPolicy"))
    grace = _grace_period(resource, obj, options)
    if is_deleting(obj):
        # A second delete can only shorten the grace period.
        grace = min(grace, metadata.get("deletionGracePeriodSeconds", 0))
    empties = resource.kind == "Namespace" and bool(get(obj, "spec.finalizers"))
    if not finalizers and not grace and not empties:
        return None
    marked = {**obj, "metadata": metadata}
    if finalizers:
        metadata["finalizers"] = finalizers
    if not is_deleting(obj):
        metadata["deletionTimestamp"] = timestamp(grace)
        if "generation" in metadata:
            metadata["generation"] += 1
        if empties:
            marked["status"] = {**obj.get("status", {}), "phase": "Terminating"}
            return marked
    metadata["deletionGracePeriodSeconds"] = grace
    return marked


def _finalizers(present: list[str], policy: str | None) -> list[str]:
    if policy is None:
        return list(present)
    others = [item for item in present if item not in POLICY_FINALIZERS.values()]
    return [*others, POLICY_FINALIZERS[policy]] if policy in POLICY_FINALIZERS else others


def _grace_period(resource: Resource, obj: Object, options: Object) -> int:
    """Seconds that the kubelet gets; only a pod that a node runs has any."""
    if resource.kind != "Pod" or not get(obj, "spec.nodeName") or is_terminal(obj):
        return 0
    asked = options.get("gracePeriodSeconds")
    return int(get(obj, "spec.terminationGracePeriodSeconds", 30) if asked is None else asked)


def is_finished(old: Object, new: Object) -> bool:
    """Whether an update of a deleted object took its last finalizer, so that it goes now."""
    metadata = new["metadata"]
    return (
        is_deleting(old)
        and bool(old["metadata"].get("finalizers") or get(old, "spec.finalizers"))
        and not metadata.get("finalizers")
        and not metadata.get("deletionGracePeriodSeconds")
        and not get(new, "spec.finalizers")
    )
