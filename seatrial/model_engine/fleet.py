"""The endpoints of a module: all are requested before one is waited for, and dismissed before one is seen off."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from seatrial.model_engine.kinds import ECHOES, KINDS, LLM, Kind, of_endpoint
from seatrial.model_engine.lifecycle import Lifecycle
from seatrial.model_engine.making import Values
from seatrial.model_engine.sight import Sight
from seatrial.model_engine.site import Site
from seatrial.verdict import BadSettings, NotApplicable


@dataclass
class Fleet:
    """`lifecycles` by the names of their kinds."""

    site: Site
    lifecycles: dict[str, Lifecycle] = field(default_factory=dict)

    @classmethod
    def requested(cls, site: Site, kinds: Iterable[Kind], values: Values = lambda contract: {}) -> Fleet:
        """One of each kind that the gateway's contract knows; the first create may be what tells the contract.

        `values`: what their payloads want beside what every kind's does.
        """
        fleet = cls(site)
        for kind in kinds:
            if not fleet._unknown(kind):
                one = fleet.lifecycles[kind.name] = Lifecycle(site, kind, site.trial.run.name(kind.what), values=values)
                one.request()
        return fleet

    @classmethod
    def existing(cls, site: Site, name: str) -> Fleet:
        """The endpoint `name`, whoever made it. `BadSettings` if there is none."""
        if site.engine.llm_endpoint(name) is not None:
            return cls(site, {LLM.name: Lifecycle(site, LLM, name, existing=True)})
        found = Sight(site, ECHOES[0], name).look_everywhere()
        if found is None:
            source = site.trial.settings.source("endpoint")
            raise BadSettings(
                f"there is no endpoint called {name}", source=source, do="name one that our token may see"
            )
        kind = of_endpoint(found)
        if kind is None:
            raise BadSettings(f"{name} is of a kind that no check of today speaks to: {found.get('endpoint_type')}")
        return cls(site, {kind.name: Lifecycle(site, kind, name, existing=True)})

    def of(self, kind: str) -> Lifecycle:
        """The lifecycle of a kind; `NotApplicable` where there is none of that kind."""
        if self._unknown(KINDS[kind]):
            raise NotApplicable(f"the {self.site.engine.contract} contract knows no {kind} endpoints")
        if kind not in self.lifecycles:
            (other,) = self.lifecycles.values()
            raise NotApplicable(f"{other.name} is no {kind} endpoint, it is {other.kind} (--endpoint)")
        return self.lifecycles[kind]

    def dismiss(self) -> None:
        """Have all of them deleted, at once; how that ended is remembered for whoever asks."""
        # A signal that comes meanwhile breaks off the joining, and nobody waits for these.
        threads = [threading.Thread(target=one.dismiss, daemon=True) for one in self.lifecycles.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def clean_up(self) -> None:
        """Remove what was not deleted. All deletes go out before the first is seen off."""
        for one in self.lifecycles.values():
            if one.waited_for:
                one.dismiss()
        for one in self.lifecycles.values():
            one.clean_up()

    def _unknown(self, kind: Kind) -> bool:
        contract = self.site.engine.contract
        return contract is not None and contract not in kind.contracts
