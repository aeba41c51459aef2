"""Which resource, object and verb a request is about: kube-apiserver's RequestInfo."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from sandbox.kube.errors import PathNotFound, method_not_allowed, no_such_resource, not_served
from sandbox.kube.resources import NOT_SERVED, NOT_SERVED_SUBRESOURCES, REVIEWS, Resource, Resources

READING = ("GET", "HEAD")
VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}


@dataclass(frozen=True)
class RequestInfo:
    """`namespace`: None for cluster-scoped paths and lists over all namespaces; `name`: empty for a collection."""

    resource: Resource
    verb: str
    namespace: str | None
    name: str
    subresource: str


def parse(request: web.Request, resources: Resources) -> RequestInfo:
    """The RequestInfo of ``/api/v1/…`` or ``/apis/<group>/<version>/…`` below its discovery document.

    Raises PathNotFound for a group that is not served, 404 for an unknown resource, 501 for what nobody needed yet.
    """
    parts = request.path.strip("/").split("/")
    group, version, rest = ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], parts[2], parts[3:])
    if group not in resources.groups():
        raise PathNotFound
    namespace: str | None = None
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = rest[0], *[*rest[1:3], "", ""][:2]
    resource = _resource(request, resources, group, version, plural)
    if subresource and subresource not in resource.subresources:
        if subresource in NOT_SERVED_SUBRESOURCES.get(plural, ()):
            raise not_served(f"{request.method} {resource.qualified}/{subresource}")
        raise no_such_resource()
    if name and resource.namespaced and namespace is None:
        raise no_such_resource()
    return RequestInfo(resource, _verb(request, bool(name)), namespace, name, subresource)


def _resource(request: web.Request, resources: Resources, group: str, version: str, plural: str) -> Resource:
    found = resources.find(group, version, plural)
    if found is None:
        reviews = {(item.group, item.version, item.plural): item for item in REVIEWS}
        found = reviews.get((group, version, plural))
    if found is None:
        if plural in NOT_SERVED.get((group, version), ()):
            path = f"{group}/{version}" if group else version
            raise not_served(f"{request.method} {path}/{plural}")
        raise no_such_resource()
    return found


def _verb(request: web.Request, named: bool) -> str:
    if request.method in READING:
        if request.query.get("watch", "").lower() in ("1", "true"):
            return "watch"
        return "get" if named else "list"
    if request.method == "DELETE":
        return "delete" if named else "deletecollection"
    if request.method not in VERBS:
        raise method_not_allowed()
    return VERBS[request.method]
