"""The frame of every control loop: changes come in, names to look at are queued, each is reconciled by itself."""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable

from sandbox.kube.cluster import Cluster
from sandbox.kube.errors import StatusError
from sandbox.kube.store import Event, Key, Name
from sandbox.kube.webhooks import Unreviewed

log = logging.getLogger(__name__)

Item = tuple[Key, Name]  # an object's bucket, namespace and name
RETRY = 1.0


class ControlLoop(ABC):
    """Subclasses say what a change concerns and what to do about one object."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.store = cluster, cluster.store
        self._due: dict[Item, float] = {}

    @abstractmethod
    def concerns(self, event: Event) -> Iterable[Item]:
        """The objects to reconcile because of a change."""

    @abstractmethod
    def reconcile(self, item: Item) -> None:
        """Bring the world closer to what one object asks for; StatusError: not possible now, look again."""

    def look_again(self, item: Item, seconds: float) -> None:
        """Reconcile `item` after so many (real) seconds, changes or not."""
        self._due[item] = min(time.monotonic() + seconds, self._due.get(item, float("inf")))

    async def run(self) -> None:
        """Until cancelled."""
        position = 0
        while True:
            changed = self.store.changed
            events = self.store.since(position)
            if events:
                position = events[-1].version
            items = dict.fromkeys(item for event in events for item in self.concerns(event))
            now = time.monotonic()
            for item in [item for item, due in self._due.items() if due <= now]:
                del self._due[item]
                items[item] = None
            for item in items:
                await self._reconcile(item)
            if items:
                # Let requests in between: a storm of changes must not starve them.
                await asyncio.sleep(0)
            await self._wait(changed)

    async def _reconcile(self, item: Item) -> None:
        try:
            while True:
                try:
                    self.reconcile(item)
                    return
                except Unreviewed as asked:
                    await self.cluster.webhooks.review(asked)
        except StatusError as error:
            log.info("%s %s: %s", type(self).__name__, item, error)
            self.look_again(item, RETRY)
        except Exception:
            log.exception("%s %s", type(self).__name__, item)

    async def _wait(self, changed: asyncio.Event) -> None:
        next_due = min(self._due.values(), default=None)
        try:
            async with asyncio.timeout(None if next_due is None else max(0.0, next_due - time.monotonic())):
                await changed.wait()
        except TimeoutError:
            return
