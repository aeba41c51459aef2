"""What is wrong with pods, Deployments and StatefulSets, read from the cluster: a cause or None."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from seatrial import config_maps
from seatrial.gpu import health as gpus
from seatrial.gpu.vendors import TABLE, Vendors
from seatrial.kube import Kube, NotFound, Object
from seatrial.resources import DEPLOYMENTS, EVENTS, NODE_POOLS, NODES, PODS, STATEFUL_SETS, Resource
from seatrial.verdict import Cause, NotJudged, Refused

_PULL = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName")
_GONE_FOR_GOOD = (
    "not found",
    "denied",
    "unauthorized",
    "forbidden",
    "does not exist",
    "manifest unknown",
    "invalid reference",
)
_OF_PLACE = ("untolerated taint", "node affinity/selector")
"""What the scheduler says of nodes that fit no pod with the same tolerations and selectors, whatever it is."""
_TAINT = re.compile(r"untolerated taint \{([^:}]*)")
"""Its key; newer schedulers name none."""
_TAINTS_PASS = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")
"""How the keys of taints begin that follow a node's state, and go with it."""
_VOLUME = re.compile(r'for volume "([^"]+)"')
_CALLED = {DEPLOYMENTS: "Deployment", STATEFUL_SETS: "StatefulSet"}
_STARTING = ("ContainerCreating", "PodInitializing")
_UNMOUNTED = ("FailedMount", "FailedAttachVolume")
_MOUNT_PASSES = "timed out waiting for the condition"  # the node's copy of a ConfigMap is not there yet
_PASSING = ("429", "too many requests", "toomanyrequests")


def pods(kube: Kube, namespace: str, labels: str, vendors: Vendors = TABLE) -> Cause | None:
    """The first trouble among the pods that `labels` select, if any; no pods is no trouble of theirs.

    The command to look selects by the labels, too: the pod may be another one by then. `vendors`: as in `pod_trouble`.
    """
    found = kube.list(PODS, namespace, labels=labels, empty_ok=True)
    causes = [
        replace(cause, look=cause.look.replace(f" {pod['metadata']['name']}", f" -l {labels}"))
        for pod in found
        if (cause := pod_trouble(kube, pod, vendors))
    ]
    return min(causes, key=lambda cause: math.inf if cause.settle is None else cause.settle, default=None)


def pod_trouble(kube: Kube, pod: Object, vendors: Vendors = TABLE) -> Cause | None:
    """Why `pod` does not run and is not ready, where it tells; `vendors` of the GPUs that it may want (the user's)."""
    if pod["metadata"].get("deletionTimestamp"):
        return None
    for status in _containers(pod):
        if cause := _container(kube, pod, status):
            return cause
    return _unscheduled(kube, pod, vendors) or _unmounted(kube, pod)


def ready(pod: Object) -> bool:
    """Whether `pod` runs, is ready, and is not on its way out."""
    conditions = pod.get("status", {}).get("conditions") or []
    here = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return here and not pod["metadata"].get("deletionTimestamp")


def container_ready(pod: Object, container: str) -> bool:
    """Whether `pod` runs and its `container` is ready, whatever an injected one beside it is; not if it is leaving."""
    status = pod.get("status", {})
    ready_ones = {one["name"] for one in status.get("containerStatuses") or [] if one.get("ready")}
    return status.get("phase") == "Running" and container in ready_ones and not pod["metadata"].get("deletionTimestamp")


def workload(kube: Kube, resource: Resource, name: str, namespace: str) -> Cause | None:
    """Why the Deployment or StatefulSet `name` has no ready pod: gone, scaled to 0, or its pods' trouble."""
    found = _workload(kube, resource, name, namespace)
    if isinstance(found, Cause):
        return found
    if found.get("status", {}).get("readyReplicas", 0) > 0:
        return None
    return _pods_of(kube, found) or _not_ready(kube, resource, found, 0)


def rollout(kube: Kube, resource: Resource, name: str, namespace: str, container: str) -> Cause | None:
    """Why not every pod of the Deployment or StatefulSet `name` is of its newest template, with `container` ready."""
    found = _workload(kube, resource, name, namespace)
    if isinstance(found, Cause):
        return found
    wanted, status = found["spec"].get("replicas", 1), found.get("status", {})
    ours = kube.list(PODS, namespace, labels=selected(found), empty_ok=True)
    count = sum(container_ready(pod, container) for pod in ours)
    current = status.get("observedGeneration", 0) >= found["metadata"].get("generation", 0)
    updated, every = status.get("updatedReplicas", 0), status.get("replicas", 0)
    if current and updated == every == wanted and count >= wanted:
        return None
    if cause := _pods_of(kube, found):
        return cause
    if count < wanted:
        return _not_ready(kube, resource, found, count)
    kind = _CALLED[resource]
    return Cause(
        f"{kind.lower()}.rollout/{namespace}/{name}",
        f"the rollout of the {kind} {name} is not complete",
        evidence=(f"{wanted} pods wanted, {every} there, {updated} of them of the newest template",),
        do="wait for it, or see what holds it up",
        look=f"{kube.kubectl} -n {namespace} rollout status {kind.lower()} {name}",
    )


def selected(found: Object) -> str:
    """The selector of a Deployment's or StatefulSet's pods."""
    labels = found["spec"]["selector"].get("matchLabels") or {}
    return ",".join(f"{key}={value}" for key, value in labels.items())


def rolled_out(found: Object) -> bool:
    """Whether a Deployment's or StatefulSet's pods are all of its newest template and available."""
    wanted, status = found["spec"].get("replicas", 1), found.get("status", {})
    return bool(
        status.get("observedGeneration", 0) >= found["metadata"].get("generation", 0)
        and status.get("updatedReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
    )


def given_up(found: Object) -> bool:
    """Whether a Deployment's rollout is past its deadline: it will not complete by waiting."""
    conditions = found.get("status", {}).get("conditions") or []
    return any(one["type"] == "Progressing" and one["status"] == "False" for one in conditions)


def _workload(kube: Kube, resource: Resource, name: str, namespace: str) -> Object | Cause:
    """The object, or why it can have no pods: it is gone, or scaled to 0."""
    kind = _CALLED[resource]
    look = f"{kube.kubectl} -n {namespace} get {kind.lower()} {name}"
    try:
        found = kube.get(resource, name, namespace)
    except NotFound:
        line = f"the {kind} {name} does not exist"
        return Cause(
            f"{kind.lower()}.gone/{namespace}/{name}", line, look=look, do="see whether the release is complete"
        )
    if found["spec"].get("replicas", 1) == 0:
        return Cause(
            f"{kind.lower()}.scaled-to-0/{namespace}/{name}",
            f"the {kind} {name} is scaled to 0",
            evidence=(f"{kind.lower()} {namespace}/{name}: spec.replicas is 0",),
            do=f"scale it up: {kube.kubectl} -n {namespace} scale {kind.lower()} {name} --replicas 1",
            look=look,
        )
    return found


def _pods_of(kube: Kube, found: Object) -> Cause | None:
    return pods(kube, found["metadata"]["namespace"], selected(found))


def _not_ready(kube: Kube, resource: Resource, found: Object, count: int) -> Cause:
    kind, name, namespace = _CALLED[resource], found["metadata"]["name"], found["metadata"]["namespace"]
    wanted = found["spec"].get("replicas", 1)
    return Cause(
        f"{kind.lower()}.not-ready/{namespace}/{name}",
        f"the {kind} {name} has {'no' if not count else f'{count} of {wanted}'} ready pod{'s' if count else ''}",
        evidence=(f"{found.get('status', {}).get('replicas', 0)} pods, {count} ready",),
        look=f"{kube.kubectl} -n {namespace} describe pod -l {selected(found)}",
    )


def _containers(pod: Object) -> Iterable[Mapping[str, Any]]:
    status = pod.get("status", {})
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _container(kube: Kube, pod: Object, status: Mapping[str, Any]) -> Cause | None:
    waiting = status.get("state", {}).get("waiting") or {}
    reason = waiting.get("reason", "")
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    place = f"pod {namespace}/{name}, container {status['name']}"
    look = f"{kube.kubectl} -n {namespace} describe pod {name}"
    if reason in _PULL:
        pulls = [one for one in _events(kube, pod, status["name"]) if "Failed to pull image" in one.get("message", "")]
        count = sum(one.get("count") or 1 for one in pulls)
        message = pulls[-1]["message"] if pulls else waiting.get("message", "")
        said = message.lower()
        settle = None
        if any(word in said for word in _PASSING):
            settle = math.inf
        elif count >= 2 and any(word in said for word in _GONE_FOR_GOOD):
            settle = 0.0
        return Cause(
            f"pod.image-pull/{status['image']}",
            f"the image {status['image']} cannot be pulled",
            evidence=(f"{place}: {reason}, {count} failed pull{'s' if count != 1 else ''}", message),
            settle=settle,
            do="push the image to that registry, correct its name, or give the pod's service account a pull secret",
            look=look,
        )
    last = (status.get("lastState", {}).get("terminated") or status.get("state", {}).get("terminated")) or {}
    restarts = status.get("restartCount", 0)
    if reason == "CrashLoopBackOff" or (restarts >= 2 and last and not status.get("ready")):
        why = f"{last.get('reason', 'exit')} {last.get('exitCode', '?')}"
        return Cause(
            f"pod.crash-loop/{namespace}/{pod_family(pod)}/{status['name']}",
            f"the container {status['name']} of {pod_family(pod)} crashes again and again ({why})",
            evidence=(
                f"{place}: {reason or 'restarting'}, {restarts} restarts, last end: {why}",
                *_last_words(kube, pod, status["name"]),
            ),
            settle=_settle_of_crashes(reason, status),
            do="mend what its last words tell of",
            look=f"{kube.kubectl} -n {namespace} logs {name} -c {status['name']} --previous",
        )
    if reason in ("CreateContainerConfigError", "CreateContainerError", "RunContainerError"):
        return Cause(
            f"pod.container-config/{namespace}/{pod_family(pod)}/{status['name']}",
            f"the container {status['name']} of {pod_family(pod)} cannot be created: {waiting.get('message', reason)}",
            evidence=(f"{place}: {reason}: {waiting.get('message', '')}",),
            do="make the Secret or ConfigMap that it names, or correct the name",
            look=look,
        )
    return None


def _last_words(kube: Kube, pod: Object, container: str) -> list[str]:
    """What the container's previous run said last: after the clean-up nobody can ask any more."""
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    try:
        said = kube.logs(name, namespace, container=container, previous=True, tail=5)
    except (NotFound, NotJudged):
        return []
    return [line.strip()[:300] for line in said.splitlines() if line.strip()]


def _settle_of_crashes(reason: str, status: Mapping[str, Any]) -> float | None:
    """A container that runs for the third time may well stay: that it crashed before only explains."""
    if "running" in status.get("state", {}):
        return math.inf
    return 0.0 if reason == "CrashLoopBackOff" and status.get("restartCount", 0) >= 2 else None


def _unscheduled(kube: Kube, pod: Object, vendors: Vendors) -> Cause | None:
    if pod["spec"].get("nodeName"):
        return None
    reasons = {one.get("reason"): one.get("message", "") for one in _events(kube, pod)}
    if "FailedScheduling" not in reasons:
        return None
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    settle: float | None = None
    preempts = pod.get("status", {}).get("nominatedNodeName")  # others are on their way out for it
    if preempts or {"TriggeredScaleUp", "Nominated"} & reasons.keys():  # by the cluster autoscaler, by Karpenter
        settle = math.inf
    elif "NotTriggerScaleUp" in reasons:
        settle = 0.0
    elif kube.serves(NODE_POOLS):  # Karpenter takes its time to nominate a node
        settle = math.inf
    said = [f"{reason}: {reasons[reason]}" for reason in ("FailedScheduling", "NotTriggerScaleUp") if reason in reasons]
    cause = Cause(
        f"pod.unschedulable/{namespace}/{pod_family(pod)}",
        f"no node can take the pod of {pod_family(pod)}: {reasons['FailedScheduling']}",
        evidence=(f"pod {namespace}/{name} is Pending", *said),
        settle=settle,
        alike="" if "NotTriggerScaleUp" in reasons else _alike(kube, pod, reasons["FailedScheduling"]),
        do="add nodes that fit, free some, or correct the node selector, tolerations and requests",
        look=f"{kube.kubectl} -n {namespace} describe pod {name}",
    )
    told = gpus.pending(kube, pod, vendors)  # of nodes with GPUs the scheduler says less than can be known
    if told is None:
        return cause
    ends = told.settle if settle is None else settle
    return replace(told, evidence=(f"pod {namespace}/{name} is Pending", *told.evidence, *said), settle=ends)


def _alike(kube: Kube, pod: Object, said: str) -> str:
    """What the pod shares with all that are unscheduled for the same reason; "" where nodes are full, a taint may go by
    itself, or another pod may fit for another reason."""
    why = said.partition(": ")[2].partition(". ")[0].split(", ")
    if not all(any(one in part for one in _OF_PLACE) for part in why):
        return ""
    if any("untolerated taint" in part for part in why) and _taint_passes(kube, why):
        return ""
    spec = pod["spec"]
    selects = [spec.get("nodeSelector"), (spec.get("affinity") or {}).get("nodeAffinity")]
    return json.dumps([why, selects, spec.get("tolerations")], sort_keys=True)


def _taint_passes(kube: Kube, why: Iterable[str]) -> bool:
    """Whether a taint that keeps the pod away may be one of a node's state: by name, else by what nodes there are."""
    found = [_TAINT.search(part) for part in why if "untolerated taint" in part]
    keys = [one[1] for one in found if one]
    if not all(found):
        try:
            nodes = kube.list(NODES, empty_ok=True)
        except Refused:
            return True
        keys += [str(taint["key"]) for node in nodes for taint in (node.get("spec") or {}).get("taints") or ()]
    return any(key.startswith(_TAINTS_PASS) for key in keys)


def _unmounted(kube: Kube, pod: Object) -> Cause | None:
    """Why its containers cannot begin: a volume of it cannot be set up."""
    if not any((one.get("state", {}).get("waiting") or {}).get("reason") in _STARTING for one in _containers(pod)):
        return None
    newest = (_events(kube, pod) or [{}])[-1]
    if newest.get("reason") not in _UNMOUNTED:  # an older one is over once its image is pulled
        return None
    said = newest.get("message", "")
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    passes = _MOUNT_PASSES in said
    if not passes and (cause := _config_map(kube, pod, said)):
        return replace(cause, evidence=(*cause.evidence, f"pod {namespace}/{name} is Pending: {said}"))
    return Cause(
        f"pod.mount/{namespace}/{pod_family(pod)}",
        f"a volume of {pod_family(pod)} cannot be mounted: {said}",
        evidence=(f"pod {namespace}/{name} is Pending",),
        settle=math.inf if passes else None,
        do="make the ConfigMap, Secret or volume what the pod wants of it, or correct the name",
        look=f"{kube.kubectl} -n {namespace} describe pod {name}",
    )


def _config_map(kube: Kube, pod: Object, said: str) -> Cause | None:
    """What is wrong with the ConfigMap behind the volume that cannot be mounted, where it is one."""
    volume = _VOLUME.search(said)
    for one in pod["spec"].get("volumes") or []:
        source = one.get("configMap") or {}
        if volume and one["name"] == volume[1] and source and not source.get("optional"):
            namespace, wanted = pod["metadata"]["namespace"], [item["key"] for item in source.get("items") or []]
            try:
                found = config_maps.data(kube, namespace, source["name"])
            except Refused:
                return None
            return config_maps.trouble(kube, namespace, source["name"], found, wanted)
    return None


def pod_family(pod: Object) -> str:
    """What a pod belongs to, as a user knows it: its ``app`` label, else its owner, else its own name."""
    metadata = pod["metadata"]
    owners = metadata.get("ownerReferences") or [{}]
    return str(metadata.get("labels", {}).get("app") or owners[0].get("name") or metadata["name"])


def _events(kube: Kube, pod: Object, container: str = "") -> list[Object]:
    """The pod's events, or those of one `container`, oldest first; without the right to read them none is quoted."""
    fields = f"involvedObject.name={pod['metadata']['name']},involvedObject.uid={pod['metadata']['uid']}"
    try:
        found = kube.list(EVENTS, pod["metadata"]["namespace"], fields=fields, empty_ok=True)
    except Refused:
        return []
    if container:  # two containers of one image have a pull each
        found = [one for one in found if one["involvedObject"].get("fieldPath", "").endswith(f"{{{container}}}")]
    return sorted(found, key=lambda one: str(one.get("lastTimestamp") or one["metadata"].get("creationTimestamp")))
