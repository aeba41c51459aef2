"""What is wrong with the gateway."""

from __future__ import annotations

from seatrial import health
from seatrial.kube import Kube
from seatrial.model_engine.discovery import Release
from seatrial.verdict import Cause


def trouble(kube: Kube, release: Release) -> Cause | None:
    """Why the gateway has no ready pod."""
    return health.deployment(kube, release.name("gateway"), release.namespace)
