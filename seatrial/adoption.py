"""Who in a namespace would take a pod of ours for one of its own, by the labels that it carries."""

from __future__ import annotations

from collections.abc import Mapping

from seatrial.kube import Kube
from seatrial.resources import DAEMON_SETS, DEPLOYMENTS, REPLICA_SETS, SERVICES, STATEFUL_SETS
from seatrial.selectors import matches
from seatrial.verdict import BadSettings

SELECTING = (SERVICES, DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS, DAEMON_SETS)
"""Kinds that take pods by a selector."""


def refuse_adopted(kube: Kube, namespace: str, labels: Mapping[str, str], *, source: str) -> None:
    """`BadSettings` if a Service or workload of `namespace` selects a pod with these labels.

    It would send requests to our pod, count it as its own, or delete it. Ask before a pod is made whose labels are not
    ours alone; `source` says where they came from.
    """
    for kind in SELECTING:
        for one in kube.list(kind, namespace, empty_ok=True):
            selector = one["spec"].get("selector") or {}
            selector = {"matchLabels": selector} if selector and kind is SERVICES else selector
            if selector and matches(selector, labels):
                raise BadSettings(
                    f"with the labels {_shown(labels)} our pod would be taken for one of "
                    f"{kind} {namespace}/{one['metadata']['name']}",
                    source=source,
                    do="leave away the labels that it selects by",
                )


def _shown(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.items())
