"""What the journal says of one endpoint of ours, and what a user would type to remove it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from seatrial.journal import Entry
from seatrial.model_engine.sight import Sight
from seatrial.model_engine.site import Site


@dataclass
class Ledger:
    """`how` grows as more is known; `entry` is the newest, None while there is nothing to remove."""

    sight: Sight
    how: dict[str, Any] = field(default_factory=dict)
    entry: Entry | None = None

    def write(self, **how: Any) -> None:
        """Say in the journal what there is to remove, and how a user would do it."""
        self.how |= how
        self.how["type"] = instructions(self.sight, str(self.how.get("id", "")))
        self.entry = self.sight.site.trial.journal.intend("endpoint", self.sight.name, **self.how)

    def settle(self, word: str) -> None:
        """There is nothing to remove any more; see `seatrial.journal.Journal.settled`."""
        if self.entry is not None:
            self.sight.site.trial.journal.settled(self.entry, word)
            self.entry = None

    def keep_up(self) -> None:
        """Write what was seen of the endpoint meanwhile, where that is news."""
        seen = (self.sight.id, self.sight.listed_built)
        if self.sight.id and seen != (self.how.get("id", ""), self.how.get("built", False)):
            self.write(id=seen[0], built=seen[1])


def instructions(sight: Sight, endpoint_id: str = "") -> str:
    """What a user types to remove an endpoint of ours that this run could not; the token stays in their shell."""
    site: Site = sight.site
    settings, kube, release = site.trial.settings, site.kube, site.release
    url = settings.gateway_url or "http://localhost:8080"
    lines = []
    if settings.gateway_url is None and kube is not None and release is not None:
        lines.append(
            f"{kube.kubectl} -n {release.namespace} port-forward svc/{release.service} 8080:{release.port} & sleep 3"
        )
    token = '-H "Authorization: Bearer $AUTH_TOKEN"'
    if handle := sight.handle or endpoint_id:
        lines.append(f"curl -X DELETE {token} {url}{sight.kind.route}/{handle}")
    else:
        lines.append(f"curl {token} '{url}{sight.kind.route}?name={sight.name}'")
        lines.append(f"curl -X DELETE {token} {url}{sight.kind.route}/<its id>")
    if kube is not None:
        kinds = ",".join(str(kind) for kind in sight.objects.kinds)
        lines.append(f"{kube.kubectl} -n {site.namespace} delete {kinds} -l endpoint_name={sight.name}")
    return "\n".join(lines)
