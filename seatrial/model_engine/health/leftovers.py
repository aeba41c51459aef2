"""Pods that are in an error state: whose they are, and which of them are none of the release's trouble."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seatrial import health
from seatrial.kube import Kube, Object
from seatrial.model_engine.discovery import Release
from seatrial.model_engine.health import workload
from seatrial.ours import MANAGED_BY, SEATRIAL
from seatrial.resources import JOBS, PODS
from seatrial.run import run_in
from seatrial.verdict import Cause, Refused

IMAGE_CACHE = "launch-image-cache-"
"""How the DaemonSets are called that the cacher makes to keep images on nodes: with images of its own, old ones too."""
_WAITS = (
    *("CrashLoopBackOff", "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError"),
    *("CreateContainerError", "RunContainerError"),
)


@dataclass(frozen=True)
class Broken:
    """`release`: causes of the release's own pods. `others`: lines on pods that are nobody's we know, `apart`: how many
    there are of each kind that says nothing of the release."""

    release: tuple[Cause, ...] = ()
    others: tuple[str, ...] = ()
    apart: Mapping[str, int] = field(default_factory=dict)


def look(kube: Kube, release: Release) -> Broken:
    """Every pod in the release's namespace that is in an error state."""
    own: list[Cause] = []
    others: list[str] = []
    apart: dict[str, int] = {}
    finished = _finished_jobs(kube, release)
    for pod in kube.list(PODS, release.namespace):
        state = error_state(pod)
        if not state or pod["metadata"].get("deletionTimestamp"):
            continue
        if kind := _kind(pod, finished):
            apart[kind] = apart.get(kind, 0) + 1
        elif component := component_of(pod, release):
            cause = workload.explained(kube, release, component, health.pod_trouble(kube, pod))
            own.append(cause or _failed(kube, pod, state))
        elif _of_hook(pod, release):
            own.append(health.pod_trouble(kube, pod) or _failed(kube, pod, state))
        else:
            others.append(f"{pod['metadata']['name']} ({state})")
    return Broken(tuple(own), tuple(others), apart)


def error_state(pod: Object) -> str:
    """The word that kubectl shows for a pod that is neither running, nor on the way there, nor done; else empty."""
    status = pod.get("status", {})
    for one in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        reason = str((one.get("state", {}).get("waiting") or {}).get("reason", ""))
        if reason in _WAITS:
            return reason
    if status.get("phase") in ("Failed", "Unknown"):
        return str(status.get("reason") or status["phase"])
    conditions = {one["type"]: one.get("reason") for one in status.get("conditions") or []}
    return "Unschedulable" if conditions.get("PodScheduled") == "Unschedulable" else ""


def _kind(pod: Object, finished: set[str]) -> str:
    """What a pod is that says nothing of the release; empty for one that may."""
    metadata = pod["metadata"]
    labels, owners = metadata.get("labels") or {}, metadata.get("ownerReferences") or []
    if labels.get(MANAGED_BY) == SEATRIAL or run_in(labels.get("endpoint_name", "")):
        return "of seatrial's runs"
    if labels.get("app", "").startswith(IMAGE_CACHE) or any(one["name"].startswith(IMAGE_CACHE) for one in owners):
        return "of image caches"
    if any(one["kind"] == "Job" and one["name"] in finished for one in owners):
        return "of finished Jobs"
    always = pod["spec"].get("restartPolicy", "Always") == "Always"
    if pod.get("status", {}).get("phase") == "Failed" and always:  # only its node ends such a pod
        return "that their node has ended"
    return ""


def component_of(pod: Object, release: Release) -> str:
    """The component that `pod` is of; empty if it is of none."""
    labels: Mapping[str, Any] = pod["metadata"].get("labels") or {}
    for name, component in release.components.items():
        selector = component["spec"]["selector"].get("matchLabels") or {}
        if selector and all(labels.get(key) == value for key, value in selector.items()):
            return name
    return ""


def _of_hook(pod: Object, release: Release) -> bool:
    owners = pod["metadata"].get("ownerReferences") or []
    return any(one["kind"] == "Job" and one["name"].startswith(f"{release.fullname}-") for one in owners)


def _finished_jobs(kube: Kube, release: Release) -> set[str]:
    """Hooks and others that have ended, well or not: a migration's failure has a check of its own."""
    try:
        jobs = kube.list(JOBS, release.namespace, empty_ok=True)
    except Refused:
        return set()
    ended = ("Complete", "Failed")
    return {
        job["metadata"]["name"]
        for job in jobs
        for one in job.get("status", {}).get("conditions") or []
        if one["type"] in ended and one["status"] == "True"
    }


def _failed(kube: Kube, pod: Object, state: str) -> Cause:
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    status = pod.get("status", {})
    return Cause(
        f"pod.failed/{namespace}/{health.pod_family(pod)}",
        f"the pod {name} is in an error state: {state}",
        evidence=(f"pod {namespace}/{name}: {status.get('message') or state}",),
        do="see why, and delete it if it is only left over",
        look=f"{kube.kubectl} -n {namespace} describe pod {name}",
    )
