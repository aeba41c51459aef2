"""What is wrong with the gateway's HorizontalPodAutoscaler."""

from __future__ import annotations

from seatrial.kube import Kube, Object
from seatrial.model_engine.discovery import Release
from seatrial.model_engine.health import workload
from seatrial.resources import HPAS
from seatrial.verdict import Cause

NEEDED = ("AbleToScale", "ScalingActive")


def find(kube: Kube, release: Release) -> Object | None:
    """The one that scales the gateway's Deployment, whatever it is called."""
    name = release.name("gateway")
    for one in kube.list(HPAS, release.namespace, empty_ok=True):
        target = one["spec"]["scaleTargetRef"]
        if (target.get("kind"), target.get("name")) == ("Deployment", name):
            return one
    return None


def trouble(kube: Kube, release: Release) -> Cause | None:
    """Why the gateway is not scaled: there is none, or it cannot. AssertionError while nobody has looked at it yet."""
    namespace, gateway = release.namespace, release.name("gateway")
    look = f"{kube.kubectl} -n {namespace} describe hpa"
    found = find(kube, release)
    if found is None:
        return Cause(
            f"hpa.missing/{namespace}",
            f"no HorizontalPodAutoscaler in namespace {namespace} scales the Deployment {gateway}",
            settle=0.0,  # the rollouts are complete: nobody makes one any more
            do="set autoscaling.horizontal.enabled in the helm values, and helm upgrade; where the release has it off, "
            "say so: --set autoscaling_horizontal=false",
            look=f"{kube.kubectl} -n {namespace} get hpa",
        )
    name = found["metadata"]["name"]
    conditions = {one["type"]: one for one in found.get("status", {}).get("conditions") or []}
    for kind in NEEDED:
        one = conditions.get(kind)
        assert one is not None, f"the HorizontalPodAutoscaler {name} has no condition {kind} yet"
        if one["status"] != "True" and one.get("reason") == "ScalingDisabled":  # there is nothing to scale
            return workload.trouble(kube, release, "gateway") or _cannot(namespace, name, one, f"{look} {name}")
        if one["status"] != "True":
            return _cannot(namespace, name, one, f"{look} {name}")
    return None


def _cannot(namespace: str, name: str, condition: Object, look: str) -> Cause:
    reason, message = condition.get("reason", ""), condition.get("message", "")
    metrics = "Metric" in reason
    return Cause(
        f"hpa.{'no-metrics' if metrics else 'cannot-scale'}/{namespace}",
        f"the HorizontalPodAutoscaler {name} {'gets no metrics' if metrics else 'cannot scale'}: {reason}",
        evidence=(f"hpa {namespace}/{name}: {condition['type']} {condition['status']}, {reason}: {message}"[:400],),
        do="install the adapter that serves its metric through custom.metrics.k8s.io, or correct that"
        if metrics
        else "see what it says",
        look=look,
    )
