"""The kinds of echo endpoints, as rows of data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from seatrial.model_engine.client import Contract


@dataclass(frozen=True)
class Kind:
    """One row: `name` is the API's ``endpoint_type``.

    `contracts`: those that know it; `queued`: its tasks go through a queue of its own; `ready_means`: what a ready
    pod of it says.
    """

    name: str
    contracts: tuple[Contract, ...] = tuple(Contract)
    queued: bool = False
    ready_means: str = "its pod is ready"

    def __str__(self) -> str:
        return self.name


KINDS: Mapping[str, Kind] = {
    one.name: one
    for one in (
        Kind("sync"),
        Kind("async", queued=True, ready_means="its worker is ready, and only a task proves its forwarder"),
        Kind("streaming", contracts=(Contract.RELEASED,)),
    )
}
"""What checks may ask for, as ``<kind>_lifecycle`` and ``<kind>_endpoint``."""
