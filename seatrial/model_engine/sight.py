"""What is seen of one endpoint: in the memories of the gateway's processes, and in the cluster."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from seatrial.http import Answer
from seatrial.model_engine.client import BY_NAME, ORDERS, Contract, Object, field_of
from seatrial.model_engine.health import endpoint as endpoint_health
from seatrial.model_engine.kinds import Kind
from seatrial.model_engine.objects import Objects
from seatrial.model_engine.site import Site
from seatrial.verdict import Refused

INITIALIZING = "INITIALIZING"
"""The documented contract's one word for everything before READY."""
UNBUILT = ("UPDATE_PENDING", "UPDATE_IN_PROGRESS", INITIALIZING)
"""The builder has not been at it, or is: what it makes after a delete no API can delete any more."""


@dataclass
class Sight:
    """The endpoint `name`, as far as it was seen yet. `id` is empty until it was listed, and where nobody tells it."""

    site: Site
    kind: Kind
    name: str
    id: str = ""
    newest: Object = field(default_factory=dict)
    """Of all that the gateway said of it, what is the newest: each of its processes may answer from memory."""
    objects_seen: int = 0
    _orders: Iterator[str] = field(default_factory=lambda: itertools.cycle(ORDERS))

    @property
    def handle(self) -> str:
        """By what the gateway takes a delete of it: its name, else its id, which is empty until it was listed."""
        return self.name if self.kind.by_name else self.id

    def delete(self) -> Answer:
        """The gateway's answer to its delete."""
        return self.site.engine.delete_endpoint(self.kind, self.handle)

    @property
    def queue(self) -> str:
        """Where the tasks of an async endpoint wait: what the gateway says, else what the product calls it."""
        named = str(self.newest.get("destination") or "")
        return named if "queue" in named or named.startswith("launch-") else f"launch-endpoint-id-{self.id}"

    def look(self, *, widely: bool = True) -> Object | None:
        """The endpoint as listed, the newest that was ever seen.

        `widely`: ask by an order that was not asked for lately. Before its pods are ready one order is enough, and
        the others stay fresh for the moment that counts.
        """
        order = next(self._orders) if widely else ORDERS[-1]
        if self.site.engine.contract is not Contract.RELEASED:
            order = BY_NAME if self.kind.by_name else ""
        endpoint = self.site.engine.endpoint(self.name, order)
        if endpoint is not None:
            self.id = str(endpoint.get("id", "") if self.kind.by_name else field_of(endpoint, "id"))
            if _stamp(endpoint) >= _stamp(self.newest):
                self.newest = endpoint
        return self.newest or None

    def look_everywhere(self) -> Object | None:
        """The endpoint as any of the gateway's memories has it now, the newest; None if none of them has it."""
        found = [one for order in self._everywhere() if (one := self.site.engine.endpoint(self.name, order))]
        return max(found, key=_stamp, default=None)

    def off_the_list(self) -> None:
        """AssertionError while any of the gateway's memories has it."""
        assert self.look_everywhere() is None, "still listed, perhaps from the gateway's memory"

    @property
    def listed_built(self) -> bool:
        """Whether the gateway has said that the builder has done its work."""
        return self.newest.get("status", UNBUILT[0]) not in UNBUILT

    def built(self) -> bool:
        """Whether the builder has done its work. INITIALIZING says too little: there the endpoint's objects tell."""
        if self.site.kube is not None and self.handle:
            with contextlib.suppress(Refused):  # where we may not look, whoever needs to says so
                self.objects_seen = len(list(self.objects.all(self.id)))
        return self.listed_built or (self.newest.get("status") == INITIALIZING and self.objects_seen > 0)

    def await_built(self, longest: float, *, fixed: bool = False) -> None:
        """Wait until the builder has been at it; AssertionError, and why, if it has not within `longest` seconds."""

        def built() -> None:
            endpoint = self.look()
            assert endpoint is not None, f"{self.name} is not listed yet"
            assert self.built(), f"status {endpoint.get('status')}"

        self.site.trial.wait.until(built, longest, what=f"{self.name} built", fixed=fixed)

    @cached_property
    def objects(self) -> Objects:
        """What stands for it in the cluster."""
        if self.site.kube is None:
            raise LookupError("there is no cluster to look at")
        return Objects(self.site.kube, self.site.namespace, self.name)

    def _everywhere(self) -> tuple[str, ...]:
        """The ways to ask for it, each with a memory of its own; the documented contract has one."""
        by_name = (BY_NAME,) if self.kind.by_name else ()
        if self.site.engine.contract is Contract.DOCUMENTED:
            return by_name or ("",)
        return (*ORDERS, "", *by_name)

    def pods_ready(self) -> bool | None:
        """Whether one of its pods is ready; None where there is no cluster, or no right, to look."""
        if self.site.kube is None:
            return None
        try:
            return endpoint_health.serving(self.site.kube, self.site.namespace, self.name)
        except Refused:
            return None


def _stamp(endpoint: Object) -> str:
    return str(endpoint.get("last_updated_at", ""))
