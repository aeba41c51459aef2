"""Namespaces: the objects each one starts with, and emptying one that is being deleted."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.kube.cluster import Cluster
from sandbox.kube.controllers.loop import ControlLoop, Item
from sandbox.kube.objects import Object, is_deleting
from sandbox.kube.resources import CONFIG_MAPS, NAMESPACES, SERVICE_ACCOUNTS, Resource
from sandbox.kube.store import Event

ROOT_CA = "kube-root-ca.crt"


class NamespaceController(ControlLoop):
    """Keeps ``default`` and ``kube-root-ca.crt`` in every namespace; removes a namespace once it is empty."""

    def __init__(self, cluster: Cluster, ca_pem: str) -> None:
        super().__init__(cluster)
        self._initial: list[tuple[Resource, Object]] = [
            (SERVICE_ACCOUNTS, {"metadata": {"name": "default"}}),
            (CONFIG_MAPS, {"metadata": {"name": ROOT_CA}, "data": {"ca.crt": ca_pem}}),
        ]

    def concerns(self, event: Event) -> Iterable[Item]:
        if event.key == NAMESPACES.key:
            yield event.key, ("", event.object["metadata"]["name"])
        elif event.type == "DELETED" and event.object["metadata"].get("namespace"):
            yield NAMESPACES.key, ("", event.object["metadata"]["namespace"])

    def reconcile(self, item: Item) -> None:
        name = item[1][1]
        namespace = self.store.get(NAMESPACES.key, "", name)
        if namespace is None:
            return
        if is_deleting(namespace):
            self._empty(namespace)
            return
        for resource, obj in self._initial:
            if self.store.get(resource.key, name, obj["metadata"]["name"]) is None:
                self.cluster.create(resource, name, obj)

    def _empty(self, namespace: Object) -> None:
        name, left = namespace["metadata"]["name"], False
        for key in self.store.used_keys:
            if not any(inside == name for inside, _ in self.store.bucket(key)):
                continue
            resource = self.cluster.resources.by_key(key)
            for obj in self.cluster.list(resource, name):
                if not is_deleting(obj):
                    obj = self.cluster.delete(resource, obj)
                left = left or self.cluster.holds(resource, obj)
        if not left:
            finalized = {**namespace, "spec": {**namespace["spec"], "finalizers": []}}
            self.cluster.update(NAMESPACES, namespace, finalized)
