"""What installs drivers and device plug-ins: whether it has done so on every node, and why a plug-in offers nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from seatrial import health
from seatrial.gpu import driver
from seatrial.gpu.driver import Broken
from seatrial.gpu.health import SETTLE, Sight
from seatrial.gpu.node import TAKES, Want
from seatrial.gpu.vendors import Operator, Vendor
from seatrial.kube import Forbidden, Kube, NotFound, Object
from seatrial.resources import DAEMON_SETS, DEPLOYMENTS
from seatrial.verdict import Cause, NotJudged, Refused

_PLAIN = "device-plugin"
"""What every device plug-in's DaemonSet has in its name, whoever made it."""
SYSTEM = "kube-system"
"""Where plain device plug-ins stand, and much else."""


@dataclass(frozen=True)
class Found:
    """The operators of a vendor that are there: each with its custom resources. `sets`: the cluster's DaemonSets."""

    vendor: Vendor
    installed: tuple[tuple[Operator, tuple[Object, ...]], ...]
    sets: tuple[Object, ...]

    @classmethod
    def of(cls, kube: Kube, vendor: Vendor) -> Found:
        """`Forbidden` where we may not look: that is no absence."""
        there = [one for one in vendor.operators if kube.serves(one.resource)]
        objects = [(one, tuple(kube.list(one.resource, empty_ok=True))) for one in there]
        sets = tuple(kube.list(DAEMON_SETS, empty_ok=True))
        return cls(vendor, tuple((one, found) for one, found in objects if found), sets)

    def plugins(self) -> list[Object]:
        """The DaemonSets of device plug-ins, the operators' and plain ones."""
        known = [one for operator in self.vendor.operators for one in self.sets if _is_plugin(operator, one)]
        words = (self.vendor.key, "gpu")
        plain = (one for one in self.sets if _PLAIN in one["metadata"]["name"])
        named = [one for one in plain if any(word in one["metadata"]["name"] for word in words)]
        return list({one["metadata"]["uid"]: one for one in [*known, *named]}.values())

    def plain(self) -> str:
        """What offers GPUs where there is no operator, in words."""
        names = [f"DaemonSet {one['metadata']['namespace']}/{one['metadata']['name']}" for one in self.plugins()]
        return f"a plain device plug-in ({', '.join(names)})" if names else "a device plug-in that is no DaemonSet here"


def trouble(kube: Kube, found: Found, sight: Sight, want: Want) -> Cause | None:
    """Why an operator has not done its work on every node that takes pods; None also where there is no operator."""
    reached = replace(want, tolerations=tuple({"key": one, "operator": "Exists"} for one in found.vendor.taints))
    nodes = sum(not one.short_of(TAKES) for one in sight.judged(reached))
    for operator, objects in found.installed:
        for one in objects:
            if cause := reconciled(operator, one, nodes, kube.kubectl):
                return beneath(kube, found, sight, want, cause)
        plugins = [one for one in found.sets if _is_plugin(operator, one)]
        if not plugins:
            return Cause(
                f"gpu.plugin_missing/{found.vendor.key}",
                f"the {operator.name} is reconciled, and has made no DaemonSet of a device plug-in",
                do="see whether the device plug-in is switched on in its custom resource",
                look=f"{kube.kubectl} get {operator.resource} -A -o yaml",
            )
        for one in plugins:
            if cause := covers(one, nodes, kube.kubectl):
                return beneath(kube, found, sight, want, cause)
        for namespace in sorted({one["metadata"]["namespace"] for one in plugins}):
            if cause := _beside(kube, found, namespace):
                return beneath(kube, found, sight, want, cause)
    return None


def offering_nothing(kube: Kube, sight: Sight, want: Want, cause: Cause) -> Cause:
    """`cause`, that a node has nothing to give, or the one beneath it: an operator that is not done, or a driver.

    Where we may not look for one it stays as it is.
    """
    try:
        found = Found.of(kube, want.vendor)
        if deeper := trouble(kube, found, sight, want):
            return deeper
        told = beneath(kube, found, sight, want, cause)
        return told if told is not cause else replace(cause, evidence=(*cause.evidence, *_words(kube, found, sight)))
    except Refused:
        return cause


def reconciled(operator: Operator, one: Object, nodes: int, kubectl: str = "kubectl") -> Cause | None:
    """Why a custom resource does not say that the operator is done, on as many `nodes` at least.

    By the reason, too: NVIDIA's says ready where it has found no node with a GPU.
    """
    metadata, status = one["metadata"], one.get("status") or {}
    condition, wanted = operator.condition
    said: Mapping[str, Any] = next((each for each in status.get("conditions") or () if each["type"] == condition), {})
    told = f"{condition}={said.get('status', 'nothing')}, reason {said.get('reason') or 'none'}"
    evidence = [told, said.get("message") or ""]
    evidence += [
        f"{each['type']}: {each.get('reason')}: {each['message']}"
        for each in status.get("conditions") or ()
        if each["type"] != condition and each["status"] == "True" and each.get("message")
    ]
    line = ""
    if said.get("status") != wanted or (operator.state and status.get("state") != operator.state):
        state = f", state {status.get('state')}" if operator.state else ""
        line = f"the {operator.name} is not ready ({told}{state})"
    elif operator.reason and said.get("reason") != operator.reason:
        line = f"the {operator.name} calls itself ready for a wrong reason: {said.get('reason')}"
    for name, wants, has in operator.counts:
        counted = status.get(name) or {}
        is_wanted, there = int(counted.get(wants) or 0), int(counted.get(has) or 0)
        if not line and counted and (there < is_wanted or (name == operator.counts[0][0] and is_wanted < nodes)):
            line = f"the {operator.name} has its {name} on {there} of {max(is_wanted, nodes)} nodes"
    if not line:
        return None
    return Cause(
        f"gpu.operator_not_reconciled/{metadata['name']}",
        line,
        evidence=tuple(filter(None, evidence)),
        settle=SETTLE,
        do="see the operator's log, and whether node feature discovery runs: it finds the nodes by its labels",
        look=f"{kubectl} get {operator.resource} -A -o yaml",
    )


def covers(one: Object, nodes: int, kubectl: str = "kubectl") -> Cause | None:
    """Why the DaemonSet of a plug-in is not ready on as many nodes; 0 of 0 is not ready."""
    metadata, status = one["metadata"], one.get("status") or {}
    desired, ready = int(status.get("desiredNumberScheduled") or 0), int(status.get("numberReady") or 0)
    if desired >= nodes and ready >= desired and (desired or not nodes):
        return None
    name, namespace = metadata["name"], metadata["namespace"]
    many = (
        f"is wanted on {desired} of {nodes} GPU nodes" if desired < nodes else f"is ready on {ready} of {desired} nodes"
    )
    beside = f", nodes with GPUs that take pods {nodes}" if nodes else ""
    return Cause(
        f"gpu.daemonset/{namespace}/{name}",
        f"the DaemonSet {name} {many}",
        evidence=(f"desiredNumberScheduled {desired}, numberReady {ready}{beside}",),
        settle=SETTLE,
        do="see its node selector and the nodes' labels" if desired < nodes else "see why its pods are not ready",
        look=f"{kubectl} -n {namespace} get daemonset {name} -o wide",
    )


def beneath(kube: Kube, found: Found, sight: Sight, want: Want, cause: Cause) -> Cause:
    """What stands behind the `cause`: a driver that is not loaded keeps every part of an operator from its work."""
    for one in sight.judged(want):
        if why := said_on(kube, found, sight, one.name):
            pod, broken = why
            return Cause(
                f"gpu.{broken.code}/{one.name}",
                f"the {want.vendor.name} driver of node {one.name}: {broken.line}",
                evidence=(f"pod {pod}: {broken.said}", cause.line, *cause.evidence),
                settle=0.0,
                do=broken.do,
                look=f"{kube.kubectl} -n {pod.partition('/')[0]} describe pod {pod.partition('/')[2]}",
            )
    return cause


def said_on(kube: Kube, found: Found, sight: Sight, node: str) -> tuple[str, Broken] | None:
    """Who on a node says why it has no GPU to offer, and what: a container of a plug-in or of what stands beside it."""
    namespaces = {one["metadata"]["namespace"] for one in found.plugins()}
    for pod in sight.pods or ():
        metadata = pod["metadata"]
        if metadata["namespace"] not in namespaces or (pod.get("spec") or {}).get("nodeName") != node:
            continue
        if metadata["namespace"] == SYSTEM and not _is_plugins(found, metadata.get("labels") or {}):
            continue  # network and storage fail there, too, for reasons of their own
        for container in _unfinished(pod):
            for previous in (False, True):
                if broken := driver.failed(_log(kube, pod, container, previous=previous)):
                    return f"{metadata['namespace']}/{metadata['name']}", broken
    return None


def _is_plugins(found: Found, labels: Mapping[str, str]) -> bool:
    """Whether a pod with these labels is of a device plug-in."""
    selectors = ((one["spec"]["selector"].get("matchLabels") or {}).items() for one in found.plugins())
    return any(one <= labels.items() for one in selectors)


def _words(kube: Kube, found: Found, sight: Sight) -> Iterator[str]:
    """The last words of a device plug-in that runs and offers nothing."""
    for one in found.plugins():
        labels = (one["spec"]["selector"].get("matchLabels") or {}).items()
        for pod in sight.pods or ():
            metadata = pod["metadata"]
            there = metadata["namespace"] == one["metadata"]["namespace"]
            if there and labels <= (metadata.get("labels") or {}).items():
                container = one["spec"]["template"]["spec"]["containers"][0]["name"]
                lines = _log(kube, pod, container, previous=False).strip().splitlines()[-2:]
                if lines:
                    yield f"pod {metadata['namespace']}/{metadata['name']} said last: {' '.join(lines)[:300]}"
                    return


def _unfinished(pod: Object) -> Iterator[str]:
    """Init containers that have not ended well, then the others: a plug-in waits in its log."""
    status = pod.get("status") or {}
    for one in status.get("initContainerStatuses") or ():
        ended: Mapping[str, Any] = (one.get("state") or {}).get("terminated") or {}
        if not ended or ended.get("exitCode"):
            yield str(one["name"])
    for one in status.get("containerStatuses") or ():
        if (one.get("state") or {}).get("running") or one.get("restartCount"):
            yield str(one["name"])


def _log(kube: Kube, pod: Object, container: str, *, previous: bool) -> str:
    metadata = pod["metadata"]
    try:
        return kube.logs(metadata["name"], metadata["namespace"], container=container, previous=previous, tail=50)
    except (NotFound, NotJudged):
        return ""


def _beside(kube: Kube, found: Found, namespace: str) -> Cause | None:
    """What an operator needs beside it: everything in its namespace is ready."""
    for one in found.sets:
        metadata, status = one["metadata"], one.get("status") or {}
        if metadata["namespace"] != namespace:
            continue
        if int(status.get("numberReady") or 0) < int(status.get("desiredNumberScheduled") or 0):
            cause = covers(one, 0, kube.kubectl)
            return _of_pods(kube, one, cause) if cause else None
    try:
        every = kube.list(DEPLOYMENTS, namespace, empty_ok=True)
    except Forbidden:
        return None
    for one in every:
        if not health.rolled_out(one):
            name, available = one["metadata"]["name"], (one.get("status") or {}).get("availableReplicas", 0)
            cause = Cause(
                f"gpu.beside/{namespace}/{name}",
                f"what the GPU operator needs beside it is not ready: the Deployment {name}",
                evidence=(f"{available} of {one['spec'].get('replicas', 1)} replicas are available",),
                settle=SETTLE,
                do="see why its pods are not ready",
                look=f"{kube.kubectl} -n {namespace} describe deployment {name}",
            )
            return _of_pods(kube, one, cause)
    return None


def _of_pods(kube: Kube, one: Object, cause: Cause) -> Cause:
    """With the trouble of the DaemonSet's pods as evidence."""
    told = health.pods(kube, one["metadata"]["namespace"], health.selected(one))
    return replace(cause, evidence=(*cause.evidence, told.line, *told.evidence)) if told else cause


def _is_plugin(operator: Operator, one: Object) -> bool:
    template = one["spec"]["template"]
    if operator.plugin_label is not None:
        key, value = operator.plugin_label
        return bool((template["metadata"].get("labels") or {}).get(key) == value)
    names: Iterable[str] = (each["name"] for each in template["spec"]["containers"])
    return bool(operator.plugin_container) and operator.plugin_container in names
