"""What is wrong with Model Engine's parts: read-only, one function each, a cause or None."""

from __future__ import annotations

import math

from seatrial import health
from seatrial.kube import Kube
from seatrial.model_engine.discovery import Release
from seatrial.resources import PODS
from seatrial.verdict import Cause


def gateway(kube: Kube, release: Release) -> Cause | None:
    """Why the gateway has no ready pod."""
    return health.deployment(kube, release.name("gateway"), release.namespace)


def builder(kube: Kube, release: Release) -> Cause | None:
    """Why nobody builds endpoints: the builder is scaled to 0, or has no ready pod; or none was recognised."""
    if "builder" not in release.components:
        return Cause(
            f"builder.missing/{release.namespace}",
            f"no Deployment in namespace {release.namespace} was recognised as Model Engine's builder",
            certain=False,
            settle=math.inf,
            do="see whether the release is complete",
            look=f"{kube.kubectl} -n {release.namespace} get deployments",
        )
    return health.deployment(kube, release.name("builder"), release.namespace)


def endpoint(kube: Kube, namespace: str, name: str) -> Cause | None:
    """Why the pods of the endpoint `name` do not serve."""
    return health.pods(kube, namespace, f"endpoint_name={name}")


def serving(kube: Kube, namespace: str, name: str) -> bool:
    """Whether a pod of the endpoint `name` is ready."""
    return any(health.ready(pod) for pod in kube.list(PODS, namespace, labels=f"endpoint_name={name}", empty_ok=True))
