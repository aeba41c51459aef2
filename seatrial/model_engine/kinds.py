"""The kinds of endpoints that a run makes, as rows of data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from seatrial.kube import Kube
from seatrial.model_engine.client import LLM_ROUTE, ROUTE, Contract
from seatrial.model_engine.health import vllm
from seatrial.verdict import Cause


@dataclass(frozen=True)
class Kind:
    """One row: `name` is what checks ask for it by, `type` the API's ``endpoint_type``, `called` is for messages.

    `what`: the middle of our endpoints' names. `payload`: of the create request, which goes to `route`; the released
    contract wants a bundle first where `bundled`. `released_says`: status and words by which a released gateway refuses
    the documented request. `by_name`: the route takes the endpoint's name, not its id. `contracts`: those that know it;
    `queued`: its tasks go through a queue of its own; `gpus`: its workers hold GPUs; `ready_means`: what a ready pod of
    it says. `ready_timeout` and `ready_warning` are settings. `refused` reads why the gateway made nothing,
    `trouble` why its workers do not come up, beside what any pod's trouble is.
    """

    name: str
    type: str
    what: str
    called: str = ""
    contracts: tuple[Contract, ...] = tuple(Contract)
    payload: str = "echo_endpoint"
    route: str = ROUTE
    by_name: bool = False
    bundled: bool = True
    released_says: tuple[int, str] = (422, "model_bundle_id")
    queued: bool = False
    gpus: bool = False
    ready_means: str = "its pod is ready"
    ready_timeout: str = "endpoint_ready_timeout"
    ready_warning: str = "endpoint_ready_warning"
    refused: Callable[[str, str], Cause | None] = lambda name, said: None
    trouble: Callable[[Kube, str, str], Cause | None] = lambda kube, namespace, name: None

    def __str__(self) -> str:
        return self.called or self.name


ECHOES = (
    Kind("sync", "sync", "echo-sync"),
    Kind(
        "async",
        "async",
        "echo-async",
        queued=True,
        ready_means="its worker is ready, and only a task proves its forwarder",
    ),
    Kind("streaming", "streaming", "echo-streaming", contracts=(Contract.RELEASED,)),
)
LLM = Kind(
    "llm",
    "streaming",
    "llm",
    called="LLM",
    payload="llm_endpoint",
    route=LLM_ROUTE,
    by_name=True,
    bundled=False,
    released_says=(400, "nodes_per_worker"),
    gpus=True,
    ready_means="its pod is ready, so that vLLM has loaded the model",
    ready_timeout="llm_ready_timeout",
    ready_warning="",
    refused=vllm.refused,
    trouble=vllm.trouble,
)
KINDS: Mapping[str, Kind] = {one.name: one for one in (*ECHOES, LLM)}
"""What checks may ask for, as ``<kind>_lifecycle`` and ``<kind>_endpoint``."""
_OF_AN_LLM = "_llm"
"""What the released product keeps in the metadata of an LLM endpoint."""


def of_name(name: str) -> Kind:
    """The kind that an endpoint of ours is, by its name alone."""
    return LLM if name.startswith(f"seatrial-{LLM.what}-") else ECHOES[0]


def of_endpoint(found: Mapping[str, Any]) -> Kind | None:
    """The kind of an endpoint that the gateway tells of; None for one that no check speaks to."""
    if "model_name" in found or _OF_AN_LLM in (found.get("metadata") or {}):
        return LLM
    kind = str(found.get("endpoint_type") or ECHOES[0].type)
    return next((one for one in ECHOES if one.type == kind), None)
