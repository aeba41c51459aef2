"""get, list, create, update, patch, delete and deletecollection: the same for every resource type."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from sandbox.kube import decoding, patch
from sandbox.kube.cluster import MODIFIED_SINCE, Cluster
from sandbox.kube.errors import (
    Cause,
    StatusError,
    bad_request,
    conflict,
    expired,
    invalid_options,
    invalid_request,
    method_not_allowed,
    not_served,
    unsupported_media_type,
)
from sandbox.kube.negotiation import dumps, json_response, wanted, write_list, write_object
from sandbox.kube.objects import Object, get
from sandbox.kube.request_info import RequestInfo
from sandbox.kube.resources import NAMESPACES, RETURNED_WHEN_DELETED, Resource
from sandbox.kube.selectors import field_selector, label_selector
from sandbox.kube.webhooks import Call

PATCHES: dict[str, Callable[[Any, Any], Object]] = {
    "application/json-patch+json": patch.json_patch,
    "application/merge-patch+json": patch.merge,
    "application/strategic-merge-patch+json": patch.strategic,
}
OPTIONS = {"POST": "CreateOptions", "PUT": "UpdateOptions", "PATCH": "PatchOptions", "DELETE": "DeleteOptions"}
POLICIES = ("Foreground", "Background", "Orphan")


async def handle(request: web.Request, cluster: Cluster, info: RequestInfo) -> web.StreamResponse:
    """Answer a request on objects or their status."""
    wanted(request)
    check_resource_version(request, cluster)
    dry_run = is_dry_run(request)
    if info.verb == "get":
        return write_object(request, info.resource, cluster.find(info.resource, info.namespace, info.name))
    if info.verb == "list":
        return _list(request, cluster, info)
    body = await request.read()
    if info.verb == "create":
        return await _create(request, cluster, info, body, dry_run)
    if info.verb == "update":
        return await _update(request, cluster, info, body, dry_run)
    if info.verb == "patch":
        return await _patch(request, cluster, info, body, dry_run)
    return await _delete(request, cluster, info, body, dry_run)


def is_dry_run(request: web.Request) -> bool:
    """Whether ``dryRun=All`` was asked for; 422 for another value."""
    values = [value for value in request.query.getall("dryRun", []) if value]
    if values and values != ["All"]:
        text = f'Unsupported value: {json.dumps(values)}: supported values: "All"'
        raise invalid_options(OPTIONS[request.method], "dryRun", "FieldValueNotSupported", text)
    return bool(values)


def check_resource_version(request: web.Request, cluster: Cluster) -> None:
    """400 for a resourceVersion that is no number, 504 for one of the future."""
    version = request.query.get("resourceVersion", "")
    if not version:
        return
    if not version.isdigit():
        raise bad_request(f"invalid resource version: {not_a_version(version)}")
    current = cluster.store.version
    if int(version) > current:
        cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
        message = f"Timeout: Too large resource version: {version}, current: {current}"
        raise StatusError(504, "Timeout", message, {"causes": [cause], "retryAfterSeconds": 1})


def not_a_version(version: str) -> str:
    """Go's text about a resourceVersion that is no number."""
    text = f'strconv.ParseUint: parsing "{version}": invalid syntax'
    return f'resourceVersion: Invalid value: "{version}": {text}'


def selected(request: web.Request, cluster: Cluster, info: RequestInfo) -> list[Object]:
    """The objects of a collection that the request's selectors match."""
    matches_labels = label_selector(request.query.get("labelSelector", ""))
    matches_fields = field_selector(request.query.get("fieldSelector", ""), info.resource)
    found = cluster.list(info.resource, info.namespace)
    return [obj for obj in found if matches_labels(obj["metadata"].get("labels")) and matches_fields(obj)]


def _list(request: web.Request, cluster: Cluster, info: RequestInfo) -> web.Response:
    items = selected(request, cluster, info)
    metadata: Object = {"resourceVersion": str(cluster.store.version)}
    if request.query.get("continue"):
        start = _continue_key(request.query["continue"], cluster)
        items = [obj for obj in items if _position(obj) > start]
    limit = int(request.query.get("limit") or 0)
    if limit and len(items) > limit:
        metadata["remainingItemCount"] = len(items) - limit
        items = items[:limit]
        token = {"v": "meta.k8s.io/v1", "rv": cluster.store.version, "start": _position(items[-1])}
        metadata["continue"] = base64.urlsafe_b64encode(dumps(token)).decode().rstrip("=")
    return write_list(request, info.resource, items, metadata)


def _position(obj: Object) -> list[str]:
    return [obj["metadata"].get("namespace") or "", obj["metadata"]["name"]]


def _continue_key(token: str, cluster: Cluster) -> list[str]:
    """Where a page starts; 400 for a malformed token, 410 for one older than the log."""
    try:
        decoded = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        start, version = list(decoded["start"]), int(decoded["rv"])
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise bad_request(
            "invalid continue token: continue key is not valid: invalid character 'i' looking for beginning of value"
        ) from error
    if version < cluster.store.compacted:
        raise expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list "
            "without the continue parameter."
        )
    return start


async def _create(
    request: web.Request, cluster: Cluster, info: RequestInfo, body: bytes, dry_run: bool
) -> web.StreamResponse:
    if info.name:
        raise method_not_allowed()
    obj = decoding.decode_object(body, request.content_type, info.resource)
    sent = get(obj, "metadata.namespace")
    if info.namespace and sent and sent != info.namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    warnings = _drop_unknown(request, info.resource, obj)

    def create(new: Object, *, dry_run: bool = True) -> Object:
        return cluster.create(info.resource, info.namespace, new, dry_run=dry_run)

    name = get(obj, "metadata.name", "")
    admitted = await cluster.webhooks.admit(_call("CREATE", info, name, dry_run), obj, None, create)
    created = create(admitted or obj, dry_run=dry_run)
    return _warned(write_object(request, info.resource, created, 201), warnings)


def _drop_unknown(request: web.Request, resource: Resource, obj: Object) -> list[str]:
    return decoding.drop_unknown_fields(resource, obj, request.query.get("fieldValidation", "Warn"))


def _warned(response: web.Response, warnings: list[str]) -> web.Response:
    for warning in warnings:
        response.headers.add("Warning", f"299 - {json.dumps(warning)}")
    return response


async def _update(
    request: web.Request, cluster: Cluster, info: RequestInfo, body: bytes, dry_run: bool
) -> web.StreamResponse:
    new = decoding.decode_object(body, request.content_type, info.resource)
    _check_name(new, info.name)
    warnings = _drop_unknown(request, info.resource, new)
    old = cluster.find(info.resource, info.namespace, info.name)
    updated = await _write(cluster, info, old, new, dry_run)
    return _warned(write_object(request, info.resource, updated), warnings)


async def _write(cluster: Cluster, info: RequestInfo, old: Object, new: Object, dry_run: bool) -> Object:
    def update(changed: Object, *, dry_run: bool = True) -> Object:
        return cluster.update(info.resource, old, changed, subresource=info.subresource, dry_run=dry_run)

    admitted = await cluster.webhooks.admit(_call("UPDATE", info, info.name, dry_run), new, old, update)
    if cluster.find(info.resource, info.namespace, info.name) is not old:
        raise conflict(info.resource, info.name, MODIFIED_SINCE)
    return update(admitted or new, dry_run=dry_run)


def _call(operation: str, info: RequestInfo, name: str, dry_run: bool) -> Call:
    return Call(operation, info.resource, info.namespace or "", name, info.user, info.subresource, dry_run)


def _check_name(obj: Object, name: str) -> None:
    sent = get(obj, "metadata.name")
    if sent != name:
        raise bad_request(f"the name of the object ({sent}) does not match the name on the URL ({name})")


def patched(request: web.Request, body: bytes, resource: Resource, base: Object) -> Object:
    """`base` with the request's patch applied; 415 for another content type."""
    kind = request.content_type
    if kind not in PATCHES:
        raise unsupported_media_type("415: Unsupported Media Type", {})
    if resource.is_custom and kind == "application/strategic-merge-patch+json":
        accepted = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
        raise unsupported_media_type(
            f"the body of the request was in an unknown format - accepted media types include: {accepted}"
        )
    change: Any = decoding.decode(body, kind, resource.kind)
    return PATCHES[kind](base, change)


async def _patch(
    request: web.Request, cluster: Cluster, info: RequestInfo, body: bytes, dry_run: bool
) -> web.StreamResponse:
    if request.content_type == "application/apply-patch+yaml":
        raise not_served("server-side apply (PATCH with application/apply-patch+yaml)")
    old = cluster.find(info.resource, info.namespace, info.name)
    new = patched(request, body, info.resource, old)
    _check_name(new, info.name)
    _check_patched_types(info.resource, new)
    warnings = _drop_unknown(request, info.resource, new)
    updated = await _write(cluster, info, old, new, dry_run)
    return _warned(write_object(request, info.resource, updated), warnings)


def _check_patched_types(resource: Resource, obj: Object) -> None:
    # Unlike in a body that was sent whole, a wrong type that a patch brings is 422 and quotes the patched object.
    for field in decoding.STRING_MAPS.get(resource.kind, ()):
        for value in (obj.get(field) or {}).values():
            if not isinstance(value, str):
                quoted = json.dumps(dumps(obj).decode())
                text = f"Invalid value: {quoted}: {decoding.wrong_type(value, f'{resource.kind}.{field}')}"
                raise invalid_request("", Cause("patch", "FieldValueInvalid", text))


async def _delete(
    request: web.Request, cluster: Cluster, info: RequestInfo, body: bytes, dry_run: bool
) -> web.StreamResponse:
    options = _delete_options(request, body)
    dry_run = dry_run or "All" in (options.get("dryRun") or [])
    if info.verb == "deletecollection":
        if info.resource is NAMESPACES:
            raise method_not_allowed()
        items = [
            cluster.delete(info.resource, obj, options, dry_run=dry_run) for obj in selected(request, cluster, info)
        ]
        return write_list(request, info.resource, items, {"resourceVersion": str(cluster.store.version)})
    obj = cluster.find(info.resource, info.namespace, info.name)
    await cluster.webhooks.admit(_call("DELETE", info, info.name, dry_run), None, obj)
    deleted = cluster.delete(info.resource, obj, options, dry_run=dry_run)
    if info.resource in RETURNED_WHEN_DELETED or (not dry_run and cluster.holds(info.resource, deleted)):
        return write_object(request, info.resource, deleted)
    details = {
        "name": info.name,
        "group": info.resource.group,
        "kind": info.resource.plural,
        "uid": obj["metadata"]["uid"],
    }
    details = {key: value for key, value in details.items() if value}
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
    return json_response(status)


def _delete_options(request: web.Request, body: bytes) -> Object:
    sent = decoding.decode(body, request.content_type, "DeleteOptions") if body else {}
    options: Object = dict(sent)
    for field in ("propagationPolicy", "gracePeriodSeconds"):
        if field in request.query:
            options.setdefault(field, request.query[field])
    policy = options.get("propagationPolicy")
    if policy not in (None, *POLICIES):
        text = f'Unsupported value: "{policy}": supported values: "Foreground", "Background", "Orphan", "nil"'
        raise invalid_options("DeleteOptions", "propagationPolicy", "FieldValueNotSupported", text)
    return options
