"""Which resource, object and verb a request is about: kube-apiserver's RequestInfo."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aiohttp import web

from sandbox.kube.authorization import Attributes
from sandbox.kube.errors import PathNotFound, method_not_allowed, no_such_resource, not_served
from sandbox.kube.resources import NOT_SERVED, NOT_SERVED_SUBRESOURCES, REVIEWS, Resource, Resources
from sandbox.kube.users import User

# The subresources of a namespace; whatever else comes after its name is a resource in it.
OF_NAMESPACES = ("status", "finalize")
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
    user: User


def parse(request: web.Request, resources: Resources, user: User) -> RequestInfo:
    """`user`'s request: the RequestInfo of ``/api/v1/…`` or ``/apis/<group>/<version>/…`` below its discovery document.

    Raises PathNotFound for a group that is not served, 404 for an unknown resource, 501 for what nobody needed yet.
    """
    parts = request.path.strip("/").split("/")
    group, version, rest = ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], parts[2], parts[3:])
    if group not in resources.groups():
        raise PathNotFound
    namespace: str | None = None
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in OF_NAMESPACES:
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = rest[0], *[*rest[1:3], "", ""][:2]
    resource = _resource(request, resources, group, version, plural)
    if subresource and subresource not in resource.subresources:
        if subresource in NOT_SERVED_SUBRESOURCES.get(plural, ()):
            raise not_served(f"{request.method} {resource.qualified}/{subresource}")
        raise no_such_resource()
    if name and resource.namespaced and namespace is None:
        raise no_such_resource()
    return RequestInfo(resource, _verb(request, bool(name)), namespace, name, subresource, user)


def attributes(request: web.Request) -> Attributes:
    """What the request asks a right for: by its path alone, served or not."""
    path = request.path.rstrip("/") or "/"
    parts = path.strip("/").split("/")
    before_resource = {"api": 2, "apis": 3}.get(parts[0], len(parts))
    if len(parts) <= before_resource:
        return Attributes(request.method.lower(), path=path)
    group, version = ("", parts[1]) if parts[0] == "api" else (parts[1], parts[2])
    namespace, rest = "", parts[before_resource:]
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in OF_NAMESPACES:
            rest = rest[2:]
    resource, name, subresource = (*rest, "", "")[:3]
    verb = {**VERBS, "DELETE": "delete"}.get(request.method, "get")
    if not name and verb == "get":
        verb = "watch" if request.query.get("watch", "").lower() in ("1", "true") else "list"
    elif not name and verb == "delete":
        verb = "deletecollection"
    if not name:
        name = next(iter(re.findall(r"^metadata\.name=([^,]+)$", request.query.get("fieldSelector", ""))), "")
    return Attributes(
        verb,
        group=group,
        version=version,
        resource=resource,
        subresource=subresource,
        namespace=namespace,
        name=name,
    )


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
