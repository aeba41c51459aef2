"""What is wrong with the service builder."""

from __future__ import annotations

from seatrial import health
from seatrial.kube import Kube
from seatrial.model_engine.discovery import Release
from seatrial.model_engine.health.missing import missing
from seatrial.verdict import Cause


def trouble(kube: Kube, release: Release) -> Cause | None:
    """Why nobody builds endpoints: the builder is scaled to 0, or has no ready pod; or none was recognised."""
    if "builder" not in release.components:
        return missing(kube, release, "builder")
    return health.deployment(kube, release.name("builder"), release.namespace)
