"""Objects and the log of their changes. One event loop writes: there are no locks; stored objects are never mutated."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal

from sandbox.kube.objects import Object, name_of

Key = tuple[str, str]  # (group, plural): all served versions of a resource share one bucket
Name = tuple[str, str]  # (namespace, name)
EventType = Literal["ADDED", "MODIFIED", "DELETED"]

FIRST_VERSION = 1000


@dataclass(frozen=True)
class Event:
    """One write; `previous` is the object before it (None for ADDED)."""

    version: int
    key: Key
    type: EventType
    object: Object
    previous: Object | None


class Store:
    """Objects by resource and name, and the last `keep` events; `compacted` is the oldest version still served."""

    def __init__(self, keep: int = 20000) -> None:
        self.version = self.compacted = FIRST_VERSION
        self.changed = asyncio.Event()
        self._keep = keep
        self._log: list[Event] = []
        self._buckets: dict[Key, dict[Name, Object]] = {}

    @property
    def used_keys(self) -> list[Key]:
        """The resources that have, or had, objects."""
        return list(self._buckets)

    def bucket(self, key: Key) -> dict[Name, Object]:
        """The objects of one resource: to be read, not changed."""
        return self._buckets.setdefault(key, {})

    def get(self, key: Key, namespace: str, name: str) -> Object | None:
        """One object."""
        return self.bucket(key).get((namespace, name))

    def write(self, key: Key, kind: EventType, obj: Object, previous: Object | None) -> Object:
        """Store (or remove) `obj` under a new resourceVersion, log it and wake everyone who waits for `changed`."""
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        if kind == "DELETED":
            self.bucket(key).pop(name_of(obj), None)
        else:
            self.bucket(key)[name_of(obj)] = obj
        self._log.append(Event(self.version, key, kind, obj, previous))
        if len(self._log) > self._keep:
            half = self._keep // 2
            self.compacted = self._log[half - 1].version
            del self._log[:half]
        woken, self.changed = self.changed, asyncio.Event()
        woken.set()
        return obj

    def since(self, version: int, key: Key | None = None) -> list[Event]:
        """The events after `version`, of one resource or of all."""
        start = bisect_right(self._log, version, key=attrgetter("version"))
        return [event for event in self._log[start:] if key is None or event.key == key]
