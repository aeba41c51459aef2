"""Where a run made what it made: its record keeps it, so that nobody looks for it anywhere else and finds nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from seatrial.mask import masked
from seatrial.record import Event
from seatrial.settings import Settings
from seatrial.target import Target


@dataclass(frozen=True)
class Origin:
    """The API server with the kubeconfig's context, or the gateway of a run that has no cluster."""

    context: str = ""
    server: str = ""
    gateway: str = ""

    @classmethod
    def of(cls, target: Target, settings: Settings) -> Origin:
        """The place that a target is; the gateway only where somebody gave it."""
        return cls(*map(masked, (target.context, target.server, settings.gateway_url or "")))

    def is_same(self, other: Origin) -> bool:
        """Whether both are one, as far as addresses tell: a context is only what one kubeconfig calls it."""
        if self.server and other.server:
            return self.server == other.server
        return bool(self.gateway) and self.gateway == other.gateway

    def describe(self) -> str:
        """In few words."""
        if not self.server:
            return f"gateway {self.gateway}, without a cluster"
        return f"context {self.context} ({self.server})" if self.context else f"the cluster at {self.server}"


def made_at(begun: Event) -> Origin | None:
    """Where a run was that began with this event; None if it had no target, or its record does not say it."""
    found = begun.get("origin")
    return Origin(**found) if found else None


def began(happened: Iterable[Event]) -> Event:
    """The event with which the run of these events began; empty for one that ended before it knew what to judge."""
    return next((event for event in happened if event["kind"] == "run"), {})
