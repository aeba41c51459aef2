"""Who in a namespace would take a pod of ours for one of its own, by the labels that it carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.kube import Kube
from seatrial.resources import DAEMON_SETS, DEPLOYMENTS, REPLICA_SETS, SERVICES, STATEFUL_SETS
from seatrial.verdict import BadSettings

_SELECTING = (SERVICES, DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS, DAEMON_SETS)


def refuse_adopted(kube: Kube, namespace: str, labels: Mapping[str, str], *, source: str) -> None:
    """`BadSettings` if a Service or workload of `namespace` selects a pod with these labels.

    It would send requests to our pod, count it as its own, or delete it. Ask before a pod is made whose labels are not
    ours alone; `source` says where they came from.
    """
    for kind in _SELECTING:
        for one in kube.list(kind, namespace, empty_ok=True):
            selector = one["spec"].get("selector") or {}
            if kind is SERVICES:
                selector = {"matchLabels": selector}
            if selects(selector, labels):
                raise BadSettings(
                    f"with the labels {_shown(labels)} our pod would be taken for one of "
                    f"{kind} {namespace}/{one['metadata']['name']}",
                    source=source,
                    do="leave away the labels that it selects by",
                )


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector matches; an empty one selects nothing here, as in Services and workloads."""
    equal, terms = selector.get("matchLabels") or {}, selector.get("matchExpressions") or []
    if not equal and not terms:
        return False
    return all(labels.get(key) == value for key, value in equal.items()) and all(_holds(one, labels) for one in terms)


def _holds(term: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(term["key"]), term.get("values") or ()
    match term["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case _:
            return value is None


def _shown(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.items())
