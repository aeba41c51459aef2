"""An endpoint's objects in the cluster: what the builder makes of it, and what is left after a delete."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from seatrial.kube import Kube, NotFound, Object
from seatrial.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    DESTINATION_RULES,
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

KINDS = (
    DEPLOYMENTS,
    SERVICES,
    CONFIG_MAPS,
    HPAS,
    SCALED_OBJECTS,
    PDBS,
    VPAS,
    VIRTUAL_SERVICES,
    DESTINATION_RULES,
    PODS,
)
"""Whatever an endpoint may be made of, in both ways of scaling, with and without Istio."""
LEFT = "model_engine.left/"
"""How the keys of causes begin that say what a delete has left."""
SUFFIXES = ("", "-endpoint-config")
"""Of the names that an endpoint's objects have, should one of them lack the label."""


@dataclass
class Objects:
    """What stands for the endpoint `name` in `namespace`."""

    kube: Kube
    namespace: str
    name: str

    @cached_property
    def kinds(self) -> list[Resource]:
        """Those of `KINDS` that this cluster knows."""
        return [kind for kind in KINDS if self.kube.serves(kind)]

    @property
    def absent(self) -> list[Resource]:
        """Those that do not exist here."""
        return [kind for kind in KINDS if kind not in self.kinds]

    def all(self, endpoint_id: str) -> Iterator[tuple[Resource, Object]]:
        """Every object, by its label, and by the names that an endpoint's objects have (where its id is known)."""
        names = [f"launch-endpoint-id-{endpoint_id.replace('_', '-')}{suffix}" for suffix in SUFFIXES]
        for kind in self.kinds:
            labelled = self.kube.list(kind, self.namespace, labels=f"endpoint_name={self.name}", empty_ok=True)
            yield from ((kind, one) for one in labelled)
            found = {one["metadata"]["name"] for one in labelled}
            for name in names if endpoint_id and kind is not PODS else ():
                if name not in found and (one := self._get(kind, name)):
                    yield kind, one

    def gone(self, endpoint_id: str) -> list[str]:
        """What is terminating, and until when; `Unhealthy` if anything is left: not even on its way out, or overdue."""
        left, terminating = [], []
        for kind, one in self.all(endpoint_id):
            shown = f"{kind} {one['metadata']['name']}"
            deadline = _deadline(one)
            if deadline is None:
                left.append(shown)
            elif deadline < self.kube.now():
                left.append(f"{shown}, which should have ended at {deadline:%H:%M:%S} UTC")
            else:
                terminating.append(f"{shown} is terminating, until {deadline:%H:%M:%S} UTC at the latest")
        if left:
            raise Unhealthy(self._left(left))
        return terminating

    def workers(self) -> list[Object]:
        """Its pods that have not ended, found by their label: their names have nothing of the endpoint's in them."""
        found = self.kube.list(PODS, self.namespace, labels=f"endpoint_name={self.name}", empty_ok=True)
        return [one for one in found if one.get("status", {}).get("phase") not in ("Succeeded", "Failed")]

    def _get(self, kind: Resource, name: str) -> Object | None:
        try:
            return self.kube.get(kind, name, self.namespace)
        except NotFound:
            return None

    def _left(self, left: list[str]) -> Cause:
        kinds = "deployments,services,configmaps,hpa,pdb,pods"
        return Cause(
            f"{LEFT}{self.name}",
            f"{len(left)} object{'s' if len(left) > 1 else ''} of {self.name} left in {self.namespace}",
            evidence=tuple(left),
            settle=math.inf,
            do="no API of the product deletes them any more: delete them by their label endpoint_name",
            look=f"{self.kube.kubectl} -n {self.namespace} get {kinds} -l endpoint_name={self.name}",
        )


def _deadline(one: Object) -> datetime | None:
    """When a deleted object must have ended: its deletionTimestamp (which includes the grace period) and a minute."""
    stamp = one["metadata"].get("deletionTimestamp")
    if not stamp:
        return None
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")) + timedelta(minutes=1)
