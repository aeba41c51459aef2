"""An endpoint's objects in the cluster: what the builder makes of it, and what is left after a delete."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta

from seatrial.kube import Kube, Object
from seatrial.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    HPAS,
    PDBS,
    PODS,
    SCALED_OBJECTS,
    SERVICES,
    VIRTUAL_SERVICES,
    VPAS,
    Resource,
)
from seatrial.verdict import Cause, Unhealthy

KINDS = (DEPLOYMENTS, SERVICES, CONFIG_MAPS, HPAS, SCALED_OBJECTS, PDBS, VPAS, VIRTUAL_SERVICES, PODS)
"""Whatever an endpoint may be made of, in both scaling ways, with and without Istio."""


def served(kube: Kube) -> tuple[list[Resource], list[Resource]]:
    """`KINDS` that this cluster knows, and those that do not exist here."""
    known = [kind for kind in KINDS if kube.serves(kind)]
    return known, [kind for kind in KINDS if kind not in known]


def of_endpoint(kube: Kube, namespace: str, name: str, endpoint_id: str) -> Iterator[tuple[Resource, Object]]:
    """Every object of the endpoint: by its label, and by the name that all its objects begin with."""
    prefix = f"launch-endpoint-id-{endpoint_id.replace('_', '-')}"
    for kind in served(kube)[0]:
        for one in kube.list(kind, namespace, empty_ok=True):
            metadata = one["metadata"]
            labelled = (metadata.get("labels") or {}).get("endpoint_name") == name
            if labelled or (endpoint_id and metadata["name"].startswith(prefix)):
                yield kind, one


def gone(kube: Kube, namespace: str, name: str, endpoint_id: str) -> list[str]:
    """What is terminating, and until when; `Unhealthy` if anything is left: not even on its way out, or overdue."""
    left, terminating = [], []
    for kind, one in of_endpoint(kube, namespace, name, endpoint_id):
        shown = f"{kind} {one['metadata']['name']}"
        deadline = _deadline(one)
        if deadline is None:
            left.append(shown)
        elif deadline < datetime.now(deadline.tzinfo):
            left.append(f"{shown} (should have ended at {deadline:%H:%M:%S})")
        else:
            terminating.append(f"{shown} is terminating, until {deadline:%H:%M:%S} UTC at the latest")
    if left:
        raise Unhealthy(
            Cause(
                f"model_engine.left/{name}",
                f"{len(left)} object{'s' if len(left) > 1 else ''} of {name} left in {namespace}",
                evidence=tuple(left),
                settle=math.inf,
                do="no API of the product deletes them any more: delete them by their label endpoint_name",
                look=f"{kube.kubectl} -n {namespace} get deployments,services,configmaps,hpa,pdb,pods "
                f"-l endpoint_name={name}",
            )
        )
    return terminating


def _deadline(one: Object) -> datetime | None:
    """When a deleted object must have ended: its deletionTimestamp (which includes the grace period) and a minute."""
    stamp = one["metadata"].get("deletionTimestamp")
    if not stamp:
        return None
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")) + timedelta(minutes=1)
