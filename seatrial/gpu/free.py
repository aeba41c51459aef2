"""Free GPUs, and who holds the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from seatrial.kube import Forbidden, Kube, Object
from seatrial.resources import PODS

_OURS = ("app.kubernetes.io/managed-by", "seatrial")
UNSEEN = "no right to see by whom"
"""Where pods of other namespaces may not be listed."""


@dataclass(frozen=True)
class Holder:
    """A pod with GPUs. `ours`: a run of ours made it. `priority`: its class; a default one may not put it out."""

    namespace: str
    name: str
    count: int
    ours: bool = False
    priority: str = ""
    labels: frozenset[tuple[str, str]] = frozenset()

    def __str__(self) -> str:
        of = " of a run of seatrial" if self.ours else ""
        return f"{self.namespace}/{self.name}{of} ({self.count})"


def pods(kube: Kube) -> list[Object] | None:
    """All pods that have not ended, of every namespace; None where we may not list those of others."""
    fields = "status.phase!=Succeeded,status.phase!=Failed"
    try:
        return kube.list(PODS, fields=fields, empty_ok=True)
    except Forbidden:
        return None


def on(pods: Iterable[Object], node: str) -> list[Object]:
    """Those that are bound to a node and have not ended."""
    ended = ("Succeeded", "Failed")
    every = (one for one in pods if (one.get("spec") or {}).get("nodeName") == node)
    return [one for one in every if (one.get("status") or {}).get("phase") not in ended]


def asked(pod: Object, resource: str) -> int:
    """How many of an extended resource a pod holds: its containers together, or its greediest init container."""
    spec = pod["spec"]
    main = sum(_limit(one, resource) for one in spec.get("containers") or ())
    return max([main, *(_limit(one, resource) for one in spec.get("initContainers") or ())])


def taken(pods: Iterable[Object], resource: str) -> int:
    """How many of an extended resource these pods hold."""
    return sum(asked(one, resource) for one in pods)


def held(pods: Iterable[Object], resource: str) -> Iterator[Holder]:
    """Who holds any of an extended resource, the greediest first."""
    found = ((asked(one, resource), one) for one in pods)
    for count, pod in sorted(found, key=lambda one: (-one[0], str(one[1]["metadata"]["name"]))):
        if count:
            yield _holder(pod, count)


def requested(pod: Object, resource: str) -> Decimal:
    """What a pod takes of ``cpu``, ``memory`` and the like, all containers together, in cores and bytes."""
    every = (_request(one, resource) for one in pod["spec"].get("containers") or ())
    return sum((quantity(one) for one in every), Decimal(0))


def quantity(text: str) -> Decimal:
    """What a quantity of Kubernetes (``20Gi``, ``500m``) comes to; ValueError or ArithmeticError for none."""
    from kubernetes.utils.quantity import parse_quantity

    return Decimal(parse_quantity(text))  # type: ignore[no-untyped-call]


def short(node: Object, pods: Iterable[Object], resource: str, amount: Decimal) -> str:
    """What a node lacks of ``cpu``, ``memory`` and the like for one more pod; empty where it has enough."""
    allocatable = ((node.get("status") or {}).get("allocatable") or {}).get(resource) or "0"
    gives = requested({"spec": {"containers": [{"resources": {"requests": {resource: allocatable}}}]}}, resource)
    left = gives - sum((requested(one, resource) for one in pods), Decimal(0))
    if left >= amount:
        return ""
    has, of, wanted = (_human(one, resource) for one in (left, gives, amount))
    return f"has {has} of {of} {resource} free, not {wanted}"


def by_whom(holders: Iterable[Holder] | None, longest: int = 5) -> str:
    """In words, at most so many of them."""
    if holders is None:
        return UNSEEN
    every = [str(one) for one in holders]
    more = f" and {len(every) - longest} more" if len(every) > longest else ""
    return f"held by {', '.join(every[:longest])}{more}" if every else "held by nobody that can be seen"


def _holder(pod: Object, count: int) -> Holder:
    metadata = pod["metadata"]
    labels = frozenset((metadata.get("labels") or {}).items())
    priority = str(pod["spec"].get("priorityClassName") or "")
    return Holder(metadata["namespace"], metadata["name"], count, _OURS in labels, priority, labels)


def _limit(container: Object, resource: str) -> int:
    resources = container.get("resources") or {}
    return int((resources.get("limits") or {}).get(resource) or (resources.get("requests") or {}).get(resource) or 0)


def _request(container: Object, resource: str) -> str:
    resources = container.get("resources") or {}
    return str((resources.get("requests") or {}).get(resource) or (resources.get("limits") or {}).get(resource) or "0")


def _human(amount: Decimal, resource: str) -> str:
    value = float(amount)
    return f"{max(value, 0):.3g}" if resource == "cpu" else f"{max(value, 0) / 2**30:.3g}Gi"
