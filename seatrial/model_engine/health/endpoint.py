"""What is wrong with an endpoint's pods."""

from __future__ import annotations

from seatrial import health
from seatrial.gpu.vendors import Vendors
from seatrial.kube import Kube
from seatrial.resources import PODS
from seatrial.verdict import Cause


def trouble(kube: Kube, namespace: str, name: str, vendors: Vendors) -> Cause | None:
    """Why the pods of the endpoint `name` do not serve; `vendors` of the GPUs that they may want."""
    return health.pods(kube, namespace, f"endpoint_name={name}", vendors)


def serving(kube: Kube, namespace: str, name: str) -> bool:
    """Whether a pod of the endpoint `name` is ready."""
    return any(health.ready(pod) for pod in kube.list(PODS, namespace, labels=f"endpoint_name={name}", empty_ok=True))
