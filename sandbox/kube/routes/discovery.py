"""What this API serves: legacy documents (the official client) and aggregated discovery (kubectl)."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from sandbox.kube.errors import PathNotFound, no_such_resource
from sandbox.kube.negotiation import json_response
from sandbox.kube.objects import Object
from sandbox.kube.resources import NAMESPACES, REVIEWS, VERBS, Resource, Resources, of_group_version, singular

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
SUBRESOURCE_KINDS = {
    "scale": ("autoscaling", "v1", "Scale"),
    "token": ("authentication.k8s.io", "v1", "TokenRequest"),
    "portforward": ("", "v1", "PodPortForwardOptions"),
}
SUBRESOURCE_VERBS = {"log": ["get"], "portforward": ["create", "get"], "token": ["create"]}


def handle(request: web.Request, resources: Resources, parts: list[str]) -> web.Response:
    """Answer ``/api``, ``/apis``, ``/apis/<group>``, ``/api/v1`` or ``/apis/<group>/<version>``."""
    aggregated = "as=APIGroupDiscoveryList" in request.headers.get("Accept", "")
    if parts == ["api"]:
        return _aggregate(resources, [""]) if aggregated else json_response(_versions(request))
    if parts == ["apis"]:
        names = [name for name in resources.groups() if name]
        if aggregated:
            return _aggregate(resources, names)
        groups = [_group(resources, name) for name in names]
        return json_response({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
    group = "" if parts[0] == "api" else parts[1]
    if group not in resources.groups():
        raise PathNotFound
    if parts[0] == "apis" and len(parts) == 2:
        return json_response({"kind": "APIGroup", "apiVersion": "v1", **_group(resources, group)})
    return json_response(_resource_list(resources, group, parts[-1]))


def _versions(request: web.Request) -> Object:
    addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": request.host}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}


def _group(resources: Resources, name: str) -> Object:
    versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in resources.groups()[name]]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def _verbs(resource: Resource) -> Sequence[str]:
    if resource in REVIEWS:
        return ["create"]
    return [verb for verb in VERBS if resource is not NAMESPACES or verb != "deletecollection"]


def _subresource_kind(resource: Resource, subresource: str) -> tuple[str, str, str]:
    return SUBRESOURCE_KINDS.get(subresource, (resource.group, resource.version, resource.kind))


def _subresource_verbs(subresource: str) -> Sequence[str]:
    return SUBRESOURCE_VERBS.get(subresource, ["get", "patch", "update"])


def _resource_list(resources: Resources, group: str, version: str) -> Object:
    found = of_group_version((*resources, *REVIEWS), group, version)
    if not found:
        raise no_such_resource()
    listed: list[Object] = []
    for resource in found:
        names = {"shortNames": list(resource.short_names), "categories": list(resource.categories)}
        listed.append(
            {
                "name": resource.plural,
                "singularName": singular(resource),
                "namespaced": resource.namespaced,
                "kind": resource.kind,
                "verbs": _verbs(resource),
                **{key: value for key, value in names.items() if value},
            }
        )
        for subresource in resource.subresources:
            kind_group, kind_version, kind = _subresource_kind(resource, subresource)
            listed.append(
                {
                    "name": f"{resource.plural}/{subresource}",
                    "singularName": "",
                    "namespaced": resource.namespaced,
                    "group": kind_group,
                    "version": kind_version,
                    "kind": kind,
                    "verbs": _subresource_verbs(subresource),
                }
            )
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed}


def _aggregate(resources: Resources, groups: list[str]) -> web.Response:
    items = []
    for group in groups:
        versions = [
            {
                "version": version,
                "freshness": "Current",
                "resources": [_discovered(item) for item in of_group_version((*resources, *REVIEWS), group, version)],
            }
            for version in resources.groups()[group]
        ]
        items.append({"metadata": {"name": group} if group else {}, "versions": versions})
    document = {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}
    return json_response(document, content_type=AGGREGATED)


def _kind(group: str, version: str, kind: str) -> Object:
    return {"group": group, "version": version, "kind": kind}


def _discovered(resource: Resource) -> Object:
    return {
        "resource": resource.plural,
        "responseKind": _kind(resource.group, resource.version, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": singular(resource),
        "verbs": _verbs(resource),
        "shortNames": list(resource.short_names),
        "categories": list(resource.categories),
        "subresources": [
            {
                "subresource": subresource,
                "responseKind": _kind(*_subresource_kind(resource, subresource)),
                "verbs": _subresource_verbs(subresource),
            }
            for subresource in resource.subresources
        ],
    }
