"""The scale subresource: replicas of a workload, whatever its kind."""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web

from sandbox.kube import decoding
from sandbox.kube.cluster import Cluster
from sandbox.kube.errors import StatusError, method_not_allowed, not_found
from sandbox.kube.negotiation import json_response
from sandbox.kube.objects import Object, get
from sandbox.kube.request_info import RequestInfo
from sandbox.kube.routes.objects import is_dry_run, patched

METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


async def handle(request: web.Request, cluster: Cluster, info: RequestInfo) -> web.Response:
    """Answer get, update and patch of a Scale."""
    if info.verb == "get":
        return json_response(_scale(_read(cluster, info)))
    old = cluster.find(info.resource, info.namespace, info.name)
    body = await request.read()
    if info.verb == "update":
        wanted = decoding.decode(body, request.content_type, "Scale")
    elif info.verb == "patch":
        wanted = patched(request, body, info.resource, _scale(old))
    else:
        raise method_not_allowed()
    new = {**old, "spec": {**old["spec"], "replicas": get(wanted, "spec.replicas", 0)}}
    new["metadata"] = {**old["metadata"], "resourceVersion": get(wanted, "metadata.resourceVersion", "")}
    return json_response(_scale(cluster.update(info.resource, old, new, dry_run=is_dry_run(request))))


def _read(cluster: Cluster, info: RequestInfo) -> Object:
    try:
        return cluster.find(info.resource, info.namespace, info.name)
    except StatusError:
        # A read is the only request in which a real server names the subresource.
        raise not_found(replace(info.resource, plural=f"{info.resource.plural}/scale"), info.name) from None


def _scale(obj: Object) -> Object:
    labels = get(obj, "spec.selector.matchLabels", {})
    replicas = get(obj, "spec.replicas", 0)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: value for key, value in obj["metadata"].items() if key in METADATA},
        "spec": {"replicas": replicas} if replicas else {},
        "status": {
            "replicas": get(obj, "status.replicas", 0),
            "selector": ",".join(f"{key}={value}" for key, value in labels.items()),
        },
    }
