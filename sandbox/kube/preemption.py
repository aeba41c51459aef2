"""Preemption: which pods of lower priority go so that another fits, and what is said of it (kube-scheduler 1.36)."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.kube.cluster import Cluster
from sandbox.kube.objects import Object, get, is_deleting, with_condition
from sandbox.kube.recorder import record
from sandbox.kube.resources import PODS, PRIORITY_CLASSES

NEVER = "not eligible due to preemptionPolicy=Never."
UNDER_WAY = "not eligible due to a terminating pod on the nominated node."
PREEMPTED = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "PreemptionByScheduler",
    "message": "default-scheduler: preempting to accommodate a higher priority pod",
    "lastProbeTime": None,
}


def nominated(pod: Object) -> str:
    """The node that was made free for the pod, as long as it is not bound."""
    return str(get(pod, "status.nominatedNodeName", ""))


def ineligible(cluster: Cluster, pod: Object, there: list[Object]) -> str:
    """Why nobody may be driven out for the pod, else nothing. `there`: the pods on its nominated node."""
    if _class(cluster, pod).get("preemptionPolicy") == "Never":
        return NEVER
    own = priority(cluster, pod)
    return UNDER_WAY if any(is_deleting(one) and priority(cluster, one) < own for one in there) else ""


def victims(cluster: Cluster, pod: Object, there: list[Object], fits: Callable[[list[Object]], bool]) -> list[Object]:
    """Of the pods `there`, on one node, those without which the pod `fits` beside the rest; none where that is not to
    be had. The highest in priority stay if they can."""
    own = priority(cluster, pod)
    lower = sorted((one for one in there if priority(cluster, one) < own), key=lambda one: -priority(cluster, one))
    staying = [one for one in there if priority(cluster, one) >= own]
    if not fits(staying):
        return []
    gone = []
    for one in lower:
        if fits([*staying, one]):
            staying.append(one)
        else:
            gone.append(one)
    return gone


def drive_out(cluster: Cluster, component: str, victim: Object, pod: Object) -> None:
    """Delete the victim within its grace period, and say for whom."""
    conditions = with_condition(get(victim, "status.conditions", []), PREEMPTED)
    told = cluster.write_status(PODS, victim, {**victim["status"], "conditions": conditions})
    message = f"Preempted by pod {pod['metadata']['uid']} on node {get(victim, 'spec.nodeName')}"
    record(cluster, component, told, "Normal", "Preempted", message)
    cluster.delete(PODS, told)


def priority(cluster: Cluster, pod: Object) -> int:
    """By the pod's class; 0 without one."""
    return int(_class(cluster, pod).get("value", 0))


def _class(cluster: Cluster, pod: Object) -> Object:
    return cluster.store.get(PRIORITY_CLASSES.key, "", get(pod, "spec.priorityClassName", "")) or {}
