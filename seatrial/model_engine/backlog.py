"""The builder's queue while an endpoint waits in it: how deep, and whether it shrinks."""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import dataclass

from seatrial.model_engine.depths import EVERY, Depth, Queues, Watch
from seatrial.verdict import Blocked, Cause, NotJudged, Unhealthy

AFTER = 10.0
"""Seconds that a create may wait before anybody looks at the queue: a healthy builder needs a few."""
WINDOW = 30.0
"""Seconds in which a queue that somebody works off has shrunk."""


@dataclass
class Backlog:
    """Looks on while our own create waits. Where nobody can look, it is silent."""

    queues: Queues
    _watch: Watch | None = None
    _refused: bool = False

    def explain(self, reason: str, since: float) -> None:
        """Raise `reason` with the queue's depth. It is a cause where the queue does not shrink, and that only explains:
        a builder that is slow may yet come to us."""
        waited, factor = time.monotonic() - since, self.queues.trial.settings.timeout_factor
        depths = [one.waiting for one in self._depths()] if waited >= AFTER * factor else []
        if not depths or not depths[-1]:
            return
        seen = depths[-max(2, math.ceil(WINDOW * factor / EVERY)) :]
        if len(seen) < len(depths) and depths[-1] >= max(seen):
            raise Unhealthy(self._cause(depths[-1], seen, waited))
        raise AssertionError(
            f"{reason}, {depths[-1]} wait in the builder's queue, ours for {waited:.0f} s: {_changes(depths[-8:])}"
        )

    def _depths(self) -> list[Depth]:
        if self._refused:
            return []
        try:
            self._watch = self._watch or self.queues.watch(self.queues.builder_queue)
            return self._watch.depths()
        except (NotJudged, Blocked) as error:
            self._refused = True
            self.queues.trial.note(f"the builder's queue was not looked into: {error}")
            return []

    def _cause(self, now: int, seen: list[int], waited: float) -> Cause:
        queue, listens = self.queues.builder_queue, self.queues.builder_listens
        elsewhere = bool(listens) and queue not in listens.split(",")
        return Cause(
            f"broker.backlog/{queue}",
            f"{now} wait in the builder's queue {queue}, which does not shrink though the builder lives"
            + (f": it listens to {listens}" if elsewhere else ""),
            evidence=(
                f"waiting in the last {len(seen) * EVERY:g} s: {_changes(seen)}",
                f"our own create waits there for {waited:.0f} s",
                *([f"the builder's command line: --queues={listens}"] if listens else []),
            ),
            settle=math.inf,
            do="have gateway and builder name the same queue"
            if elsewhere
            else "its log says what the builder is at; scale it up, or purge what nobody wants any more",
            look=f"{self.queues.kube.kubectl} -n {self.queues.release.namespace} logs "
            f"deployment/{self.queues.release.name('builder')} --tail 200",
        )


def _changes(seen: list[int]) -> str:
    """The numbers, each said once while it stays the same."""
    return ", ".join(str(number) for number, _ in itertools.groupby(seen))
