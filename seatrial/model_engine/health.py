"""What is wrong with Model Engine's parts: read-only, one function each, a cause or None."""

from __future__ import annotations

from seatrial import health
from seatrial.kube import Kube
from seatrial.model_engine.discovery import Release
from seatrial.resources import PODS
from seatrial.verdict import Cause


def gateway(kube: Kube, release: Release) -> Cause | None:
    """Why the gateway has no ready pod."""
    return health.deployment(kube, release.name("gateway"), release.namespace)


def builder(kube: Kube, release: Release) -> Cause | None:
    """Why nobody builds endpoints: the builder is missing, scaled to 0, or has no ready pod."""
    if "builder" not in release.components:
        return Cause(
            f"builder.missing/{release.namespace}",
            f"no Deployment in namespace {release.namespace} runs Model Engine's builder",
            certain=False,
            do="see whether the release is complete",
            look=f"{kube.kubectl} -n {release.namespace} get deployments",
        )
    return health.deployment(kube, release.name("builder"), release.namespace)


def endpoint(kube: Kube, namespace: str, name: str) -> Cause | None:
    """Why the pods of the endpoint `name` do not serve."""
    return health.pods(kube, namespace, f"endpoint_name={name}")


def serving(kube: Kube, namespace: str, name: str) -> str | None:
    """The id of the endpoint `name`, if one of its pods is ready; AssertionError, saying how far they are, if not.

    None where ready pods do not carry their endpoint's id.
    """
    pods = kube.list(PODS, namespace, labels=f"endpoint_name={name}", empty_ok=True)
    assert pods, f"no pod of {name} yet"
    ready = [pod for pod in pods if health.ready(pod)]
    assert ready, f"{len(pods)} pod{'s' if len(pods) > 1 else ''} of {name}, none ready: {', '.join(map(_phase, pods))}"
    found = ready[0]["metadata"].get("labels", {}).get("endpoint_id")
    return str(found) if found else None


def _phase(pod: dict[str, object]) -> str:
    status: dict[str, object] = pod.get("status", {})  # type: ignore[assignment]
    for one in status.get("containerStatuses") or []:  # type: ignore[attr-defined]
        if waiting := one.get("state", {}).get("waiting"):
            return str(waiting.get("reason", "waiting"))
    return str(status.get("phase", "no phase"))
