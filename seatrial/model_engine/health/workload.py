"""What is wrong with the pods of a component."""

from __future__ import annotations

import math
from dataclasses import replace

from seatrial import health
from seatrial.kube import Kube
from seatrial.model_engine.discovery import Release
from seatrial.model_engine.health import words
from seatrial.verdict import Cause

_DIES = ("pod.crash-loop/",)


def missing(kube: Kube, release: Release, component: str) -> Cause:
    """Nothing in the release's namespace looks like `component`: it only explains, since it may be called otherwise."""
    kind = release.resource(component).plural
    return Cause(
        f"{component}.missing/{release.namespace}",
        f"none of the {kind} in namespace {release.namespace} was recognised as Model Engine's {component}",
        certain=False,
        settle=math.inf,
        do="see whether the release is complete",
        look=f"{kube.kubectl} -n {release.namespace} get {kind}",
    )


def trouble(kube: Kube, release: Release, component: str) -> Cause | None:
    """Why the component has no ready pod, or was not found."""
    if component not in release.components:
        return missing(kube, release, component)
    cause = health.workload(kube, release.resource(component), release.name(component), release.namespace)
    return explained(kube, release, component, cause)


def rollout(kube: Kube, release: Release, component: str) -> Cause | None:
    """Why not all its pods run, ready and of the newest template; judged by the product's container."""
    if component not in release.components:
        return missing(kube, release, component)
    name, container = release.name(component), release.container(component)
    cause = health.rollout(kube, release.resource(component), name, release.namespace, container)
    return explained(kube, release, component, cause)


def dying(kube: Kube, release: Release, component: str) -> Cause | None:
    """Why its containers die: by the last words of one, else by what Kubernetes calls a crash loop."""
    if cause := words.death(kube, release, component):
        return cause
    cause = trouble(kube, release, component)
    return cause if cause is not None and cause.key.startswith(_DIES) else None


def explained(kube: Kube, release: Release, component: str, cause: Cause | None) -> Cause | None:
    """`cause`, or a better one: a container that dies says why in its last words."""
    if cause is None or not cause.key.startswith(_DIES):
        return cause
    why = words.death(kube, release, component)
    if why is None:
        return cause
    return replace(why, evidence=(*why.evidence, *cause.evidence[:1]), settle=cause.settle)
