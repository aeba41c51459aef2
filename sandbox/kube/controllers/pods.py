"""The pods of a workload: how its controller finds, makes and deletes them, with the events that say so."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from sandbox.kube.cluster import Cluster
from sandbox.kube.controllers.loop import Item
from sandbox.kube.errors import StatusError
from sandbox.kube.objects import (
    SAFE_ALPHABET,
    Object,
    clone,
    condition_is,
    controller_reference,
    controller_uid,
    name_of,
    owners,
)
from sandbox.kube.recorder import record
from sandbox.kube.resources import PODS, Resource
from sandbox.kube.store import Event
from sandbox.kube.users import service_account
from sandbox.kube.webhooks import Call


def owners_item(event: Event, resource: Resource) -> Iterable[Item]:
    """The object of that resource type which controls the event's object."""
    for reference in owners(event.object):
        if reference.get("controller") and reference["kind"] == resource.kind:
            yield resource.key, (name_of(event.object)[0], reference["name"])


def controlled(cluster: Cluster, owner: Object) -> list[Object]:
    """The pods that the workload controls, ended and deleted ones too."""
    uid = owner["metadata"]["uid"]
    return [pod for pod in cluster.list(PODS, name_of(owner)[0]) if controller_uid(pod) == uid]


def template_hash(template: Object) -> str:
    """A name-safe hash of a pod template."""
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).digest()
    return "".join(SAFE_ALPHABET[byte % len(SAFE_ALPHABET)] for byte in digest[:10])


def is_ready(pod: Object) -> bool:
    """Whether the pod's condition Ready holds."""
    return condition_is(pod, "Ready")


def of_template(owner: Object, labels: Object | None = None, **metadata: Any) -> Object:
    """A pod of the owner's template, with these labels beside the template's."""
    template = clone(owner["spec"]["template"])
    given = template.get("metadata") or {}
    kept = {key: given[key] for key in ("annotations", "finalizers") if key in given}
    return {
        "metadata": {
            **kept,
            "labels": {**(given.get("labels") or {}), **(labels or {})},
            "ownerReferences": [controller_reference(owner)],
            **metadata,
        },
        "spec": template["spec"],
    }


def admitted(cluster: Cluster, component: str, namespace: str, pod: Object) -> Object:
    """Create it as webhooks want it; Unreviewed while they have not been asked, StatusError when it is refused."""

    def complete(obj: Object) -> Object:
        return cluster.create(PODS, namespace, obj, dry_run=True)

    user = service_account("kube-system", component)
    call = Call("CREATE", PODS, namespace, pod["metadata"].get("name", ""), user)
    return cluster.create(PODS, namespace, cluster.webhooks.reviewed(call, pod, complete))


def create(cluster: Cluster, component: str, owner: Object, pod: Object) -> Object:
    """Create it and say so; StatusError, said in an event too, when it is refused."""
    try:
        created = admitted(cluster, component, name_of(owner)[0], pod)
    except StatusError as error:
        record(cluster, component, owner, "Warning", "FailedCreate", f"Error creating: {error}")
        raise
    message = f"Created pod: {created['metadata']['name']}"
    record(cluster, component, owner, "Normal", "SuccessfulCreate", message)
    return created


def delete(cluster: Cluster, component: str, owner: Object, pod: Object) -> None:
    """Delete it and say so."""
    cluster.delete(PODS, pod)
    message = f"Deleted pod: {pod['metadata']['name']}"
    record(cluster, component, owner, "Normal", "SuccessfulDelete", message)
