"""Garbage collection by owner references: background, foreground and orphaning."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.kube.cluster import Cluster
from sandbox.kube.controllers.loop import ControlLoop, Item
from sandbox.kube.deletion import POLICY_FINALIZERS
from sandbox.kube.objects import Object, is_deleting, name_of, owners
from sandbox.kube.store import Event

FOREGROUND, ORPHAN = POLICY_FINALIZERS["Foreground"], POLICY_FINALIZERS["Orphan"]


class GarbageCollector(ControlLoop):
    """Follows every object: deletes those whose owners are all gone, finishes foreground deletes and orphaning."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._present: dict[str, Item] = {}  # by uid
        self._dependents: dict[str, set[Item]] = {}  # by the owner's uid

    def concerns(self, event: Event) -> Iterable[Item]:
        metadata, item = event.object["metadata"], (event.key, name_of(event.object))
        if event.type == "DELETED":
            self._present.pop(metadata["uid"], None)
            yield from self._dependents.pop(metadata["uid"], ())
            # An owner that waits for its dependents to go first.
            yield from self._owners_present(event.object)
            return
        self._present[metadata["uid"]] = item
        for reference in owners(event.object):
            self._dependents.setdefault(reference["uid"], set()).add(item)
        if owners(event.object) or {FOREGROUND, ORPHAN} & set(metadata.get("finalizers") or ()):
            yield item

    def _owners_present(self, obj: Object) -> Iterable[Item]:
        return (self._present[owner["uid"]] for owner in owners(obj) if owner["uid"] in self._present)

    def reconcile(self, item: Item) -> None:
        key, name = item
        obj = self.store.get(key, *name)
        if obj is None:
            return
        finalizers = obj["metadata"].get("finalizers") or []
        if is_deleting(obj):
            if ORPHAN in finalizers:
                self._orphan(obj)
                self._finalize(item, ORPHAN)
            elif FOREGROUND in finalizers and not self._delete_dependents(obj):
                self._finalize(item, FOREGROUND)
        elif owners(obj):
            self._collect(item, obj)

    def _collect(self, item: Item, obj: Object) -> None:
        """Delete an object without any owner left; an owner that is gone beside others is only forgotten."""
        left = [owner for owner in owners(obj) if owner["uid"] in self._present]
        resource = self.cluster.resources.by_key(item[0])
        if not left:
            self.cluster.delete(resource, obj, {"propagationPolicy": "Background"})
        elif len(left) < len(owners(obj)):
            self._set_owners(item, obj, left)

    def _set_owners(self, item: Item, obj: Object, references: list[Object]) -> None:
        metadata = {**obj["metadata"], "ownerReferences": references}
        if not references:
            del metadata["ownerReferences"]
        self.cluster.update(self.cluster.resources.by_key(item[0]), obj, {**obj, "metadata": metadata})

    def _found_dependents(self, owner: Object) -> list[tuple[Item, Object]]:
        uid = owner["metadata"]["uid"]
        found = []
        for item in self._dependents.get(uid, ()):
            obj = self.store.get(item[0], *item[1])
            if obj is not None and any(reference["uid"] == uid for reference in owners(obj)):
                found.append((item, obj))
        return found

    def _orphan(self, owner: Object) -> None:
        for item, obj in self._found_dependents(owner):
            others = [reference for reference in owners(obj) if reference["uid"] != owner["metadata"]["uid"]]
            self._set_owners(item, obj, others)

    def _delete_dependents(self, owner: Object) -> bool:
        """Delete what the owner has; whether any of it that blocks the owner's deletion is still there."""
        uid, blocked = owner["metadata"]["uid"], False
        for item, obj in self._found_dependents(owner):
            resource = self.cluster.resources.by_key(item[0])
            if not is_deleting(obj):
                obj = self.cluster.delete(resource, obj, {"propagationPolicy": "Foreground"})
            blocks = any(ref["uid"] == uid and ref.get("blockOwnerDeletion") for ref in owners(obj))
            blocked = blocked or (blocks and self.cluster.holds(resource, obj))
        return blocked

    def _finalize(self, item: Item, finalizer: str) -> None:
        obj = self.store.get(item[0], *item[1])
        if obj is not None:
            left = [name for name in obj["metadata"]["finalizers"] if name != finalizer]
            metadata = {**obj["metadata"], "finalizers": left}
            if not left:
                del metadata["finalizers"]
            self.cluster.update(self.cluster.resources.by_key(item[0]), obj, {**obj, "metadata": metadata})
