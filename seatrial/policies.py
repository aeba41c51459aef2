"""Network policies that may stop a probe of ours and not the product: a time-out behind one proves nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from seatrial.kube import Kube, NotFound
from seatrial.resources import NETWORK_POLICIES, Resource
from seatrial.selectors import matches
from seatrial.verdict import NotJudged, Reason, Refused, Unreachable

OTHERS = (
    Resource("cilium.io/v2", "ciliumnetworkpolicies"),
    Resource("projectcalico.org/v3", "networkpolicies"),
    Resource("security.istio.io/v1", "authorizationpolicies"),
)
"""Of a network plug-in or a mesh; what they select is not read here, their presence is doubt enough."""


def refuse_doubt(kube: Kube, namespace: str, labels: Mapping[str, str], said: Mapping[str, Any]) -> None:
    """`NotJudged` where a probe with `labels` in `namespace` was answered by nobody in time, and a policy may be why.

    `said`: the line that the probe's program printed.
    """
    if said["ok"] or said["code"] != "timeout":
        return
    if found := in_the_way(kube, namespace, labels, str(said["at"]).rpartition(":")[0]):
        raise NotJudged(
            Reason.UNREACHABLE,
            f"{said['at']} does not answer our probe; perhaps only the probe is blocked, by the policy {found}",
            do="let our probe's labels pass, or give it those that do: overlays, probe/pod, metadata.labels",
        )


def in_the_way(kube: Kube, namespace: str, labels: Mapping[str, str], host: str) -> str:
    """What may stop a pod with `labels` in `namespace` on its way to `host`, as one phrase; empty if nothing may."""
    try:
        return ", ".join(dict.fromkeys(_found(kube, namespace, labels, host)))
    except Refused:
        return "one that we may not look for (networkpolicies)"
    except Unreachable:
        return ""


def _found(kube: Kube, namespace: str, labels: Mapping[str, str], host: str) -> Iterator[str]:
    yield from (f"{namespace}/{one}" for one in _of(kube, namespace, "Egress", labels))
    behind = host.removesuffix(".").removesuffix(".cluster.local").removesuffix(".svc").split(".")
    if len(behind) == 2 and behind[1] != namespace:  # a Service of another namespace
        yield from (f"{behind[1]}/{one}" for one in _of(kube, behind[1], "Ingress", None))
    elif len(behind) in (1, 2):
        yield from (f"{namespace}/{one}" for one in _of(kube, namespace, "Ingress", None))
    for resource in OTHERS:
        if kube.serves(resource):
            found = kube.list(resource, namespace, empty_ok=True)
            yield from (f"{namespace}/{one['metadata']['name']} ({resource})" for one in found)


def _of(kube: Kube, namespace: str, direction: str, labels: Mapping[str, str] | None) -> Iterator[str]:
    """Policies of a namespace for a direction; with `labels`, those that select such a pod."""
    try:
        policies = kube.list(NETWORK_POLICIES, namespace, empty_ok=True)
    except NotFound:
        return
    for one in policies:
        spec = one.get("spec") or {}
        types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if "egress" in spec else [])]
        if direction in types and (labels is None or matches(spec.get("podSelector") or {}, labels)):
            yield one["metadata"]["name"]
