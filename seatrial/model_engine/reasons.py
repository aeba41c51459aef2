"""Why an endpoint is not there yet: asked of its pods, and of whoever should have made them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from seatrial.model_engine.health import builder as builder_health
from seatrial.model_engine.health import endpoint as endpoint_health
from seatrial.model_engine.sight import UNBUILT, Sight
from seatrial.verdict import Refused, Unhealthy


@dataclass
class Reasons:
    """Looks as long as one endpoint is waited for. Where we may not look, nobody is blamed."""

    sight: Sight

    def explain(self, reason: str) -> None:
        """Raise the cause if anybody knows it; `reason` is why the endpoint is not there yet, as the wait has it."""
        site = self.sight.site
        if site.kube is None or site.release is None:
            return
        with contextlib.suppress(Refused):
            if cause := endpoint_health.trouble(site.kube, site.namespace, self.sight.name):
                raise Unhealthy(cause)
            if any(word in reason for word in UNBUILT) and (cause := builder_health.trouble(site.kube, site.release)):
                raise Unhealthy(cause)
