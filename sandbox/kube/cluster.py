"""Create, update and delete with the rules that hold for every kind: what kube-apiserver's generic registry does."""

from __future__ import annotations

import uuid
from ipaddress import ip_network

from sandbox.kube import defaults, deletion, pod_security, validation
from sandbox.kube.errors import already_exists, conflict, forbidden, not_found
from sandbox.kube.objects import Object, clone, get, is_deleting, name_of, random_suffix, timestamp
from sandbox.kube.resources import (
    DEFINITIONS,
    JOBS,
    NAMESPACES,
    PODS,
    SERVICE_ACCOUNTS,
    SERVICES,
    Resource,
    Resources,
)
from sandbox.kube.store import Store
from sandbox.kube.webhooks import Webhooks

MODIFIED_SINCE = "the object has been modified; please apply your changes to the latest version and try again"

# Set by the server and kept on every update.
FIXED_METADATA = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "name",
    "namespace",
    "uid",
)
# Kinds whose status the creator may set.
STATUS_ON_CREATE = ("Node",)


class Cluster:
    """All objects of one cluster. Methods are synchronous: one event loop writes, so each is atomic."""

    def __init__(self, service_network: str) -> None:
        """`service_network`: the Services' addresses, e.g. ``127.7.200.0/24``."""
        self.store = Store()
        self.resources = Resources()
        self.webhooks = Webhooks(self.store)
        self.service_network = ip_network(service_network)

    def find(self, resource: Resource, namespace: str | None, name: str) -> Object:
        """One object, or 404."""
        found = self.store.get(resource.key, namespace or "", name)
        if found is None:
            raise not_found(resource, name)
        return found

    def list(self, resource: Resource, namespace: str | None = None) -> list[Object]:
        """All objects of a resource type (in one namespace), by namespace and name."""
        bucket = self.store.bucket(resource.key)
        return [bucket[name] for name in sorted(bucket) if namespace is None or name[0] == namespace]

    def create(self, resource: Resource, namespace: str | None, obj: Object, *, dry_run: bool = False) -> Object:
        """Store a new object: 404 without its namespace, 409 when the name is taken, 422 when it is invalid."""
        obj = clone(obj)
        metadata = obj.setdefault("metadata", {})
        obj["apiVersion"], obj["kind"] = resource.api_version, resource.kind
        metadata.pop("namespace", None)
        if resource.namespaced:
            metadata["namespace"] = namespace or "default"
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + random_suffix()
        validation.check_name_given(resource, obj)
        if resource.namespaced:
            self._check_namespace(resource, metadata["namespace"], metadata["name"])
        if resource.has_status and resource.kind not in STATUS_ON_CREATE:
            obj.pop("status", None)
        defaults.apply(resource.kind, obj)
        validation.check(resource, obj)
        if self.store.get(resource.key, *name_of(obj)) is not None:
            raise already_exists(resource, metadata["name"])
        metadata.update(uid=str(uuid.uuid4()), creationTimestamp=timestamp())
        for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "generation", "resourceVersion"):
            metadata.pop(field, None)
        if resource.generation:
            metadata["generation"] = 1
        if resource is SERVICES:
            self._allocate_address(obj)
        if resource is JOBS:
            defaults.select_own_pods(obj)
        if resource is PODS:
            self._check_service_account(obj)
            pod_security.check(self.find(NAMESPACES, None, obj["metadata"]["namespace"]), obj)
        if dry_run:
            return obj
        created = self.store.write(resource.key, "ADDED", obj, None)
        return self._define(created) if resource is DEFINITIONS else created

    def _check_namespace(self, resource: Resource, namespace: str, name: str) -> None:
        found = self.find(NAMESPACES, None, namespace)
        if is_deleting(found):
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            raise forbidden(resource, name, why)

    def _check_service_account(self, pod: Object) -> None:
        namespace, account = pod["metadata"]["namespace"], pod["spec"]["serviceAccountName"]
        if self.store.get(SERVICE_ACCOUNTS.key, namespace, account) is None:
            why = f'error looking up service account {namespace}/{account}: serviceaccount "{account}" not found'
            raise forbidden(PODS, pod["metadata"]["name"], why)

    def _allocate_address(self, service: Object) -> None:
        spec = service["spec"]
        if spec["type"] == "ExternalName":
            return
        if not spec.get("clusterIP"):
            used = {get(other, "spec.clusterIP") for other in self.list(SERVICES)}
            spec["clusterIP"] = next(str(host) for host in self.service_network.hosts() if str(host) not in used)
        spec["clusterIPs"] = [spec["clusterIP"]]

    def _define(self, definition: Object) -> Object:
        """Serve a CustomResourceDefinition and mark it established."""
        self.resources.define(definition)
        names = definition["spec"]["names"]
        status = {
            "acceptedNames": {"listKind": f"{names['kind']}List", "singular": names["kind"].lower(), **names},
            "storedVersions": [item["name"] for item in definition["spec"]["versions"] if item.get("storage")],
            "conditions": [
                {
                    "type": kind,
                    "status": "True",
                    "reason": reason,
                    "message": message,
                    "lastTransitionTime": timestamp(),
                }
                for kind, reason, message in (
                    ("NamesAccepted", "NoConflicts", "no conflicts found"),
                    ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
                )
            ],
        }
        return self.write_status(DEFINITIONS, definition, status)

    def update(
        self, resource: Resource, old: Object, new: Object, *, subresource: str = "", dry_run: bool = False
    ) -> Object:
        """Replace `old` by `new` (or only its status): 409 for a stale resourceVersion, 422 when it is invalid."""
        new = clone(new)
        metadata, kept = new.setdefault("metadata", {}), old["metadata"]
        self._check_preconditions(resource, old, metadata)
        if subresource == "status":
            new = clone({**old, "status": new.get("status", {})})
            metadata = new["metadata"]
        for field in FIXED_METADATA:
            metadata.pop(field, None)
            if field in kept:
                metadata[field] = kept[field]
        new["apiVersion"], new["kind"] = resource.api_version, resource.kind
        if resource.has_status and subresource != "status":
            new.pop("status", None)
            if "status" in old:
                new["status"] = clone(old["status"])
        if resource is SERVICES and not get(new, "spec.clusterIP") and "clusterIP" in old["spec"]:
            new["spec"].update(clusterIP=old["spec"]["clusterIP"], clusterIPs=old["spec"]["clusterIPs"])
        defaults.apply(resource.kind, new)
        validation.check_update(resource, old, new)
        if subresource != "status" and "generation" in kept and _content(old) != _content(new):
            metadata["generation"] = kept["generation"] + 1
        metadata["resourceVersion"] = kept["resourceVersion"]
        if new == old:
            return old
        if dry_run:
            return new
        if deletion.is_finished(old, new):
            return self.remove(resource, new)
        updated = self.store.write(resource.key, "MODIFIED", new, old)
        return self._define(updated) if resource is DEFINITIONS and subresource != "status" else updated

    def _check_preconditions(self, resource: Resource, old: Object, sent: Object) -> None:
        name = old["metadata"]["name"]
        if sent.get("resourceVersion") not in (None, "", old["metadata"]["resourceVersion"]):
            raise conflict(resource, name, MODIFIED_SINCE)
        if sent.get("uid") not in (None, "", old["metadata"]["uid"]):
            prefix = "/".join(part for part in (resource.plural, old["metadata"].get("namespace"), name) if part)
            raise conflict(
                resource,
                name,
                f"StorageError: invalid object, Code: 4, Key: /registry/{prefix}, ResourceVersion: 0, "
                f"AdditionalErrorMsg: Precondition failed: UID in precondition: {sent['uid']}, "
                f"UID in object meta: {old['metadata']['uid']}",
            )

    def write_status(self, resource: Resource, obj: Object, status: Object) -> Object:
        """A controller's write of the whole status; no write when nothing changes."""
        if obj.get("status") == status:
            return obj
        new = {**obj, "metadata": dict(obj["metadata"]), "status": status}
        return self.store.write(resource.key, "MODIFIED", new, obj)

    def delete(
        self, resource: Resource, obj: Object, options: Object | None = None, *, dry_run: bool = False
    ) -> Object:
        """Delete at once, or mark the object when finalizers, a grace period or a namespace's content come first."""
        options = options or {}
        deletion.check_preconditions(resource, obj, options.get("preconditions") or {})
        if dry_run:
            return obj
        marked = deletion.mark(resource, obj, options)
        if marked is None:
            return self.remove(resource, obj)
        if marked["metadata"] == obj["metadata"]:
            return obj
        return self.store.write(resource.key, "MODIFIED", marked, obj)

    def remove(self, resource: Resource, obj: Object) -> Object:
        """Take an object out of the store; its dependents are the garbage collector's."""
        previous = self.store.get(resource.key, *name_of(obj)) or obj
        gone = {**obj, "metadata": dict(obj["metadata"])}
        if resource is DEFINITIONS:
            self._undefine(obj)
        return self.store.write(resource.key, "DELETED", gone, previous)

    def _undefine(self, definition: Object) -> None:
        key = (definition["spec"]["group"], definition["spec"]["names"]["plural"])
        if self.store.bucket(key):
            resource = self.resources.by_key(key)
            for obj in self.list(resource):
                self.remove(resource, obj)
        self.resources.withdraw(definition)

    def holds(self, resource: Resource, obj: Object) -> bool:
        """Whether this very object (by uid) is still stored."""
        stored = self.store.get(resource.key, *name_of(obj))
        return stored is not None and stored["metadata"]["uid"] == obj["metadata"]["uid"]


def _content(obj: Object) -> Object:
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}
