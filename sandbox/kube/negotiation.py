"""How an answer is written: JSON, a Table for ``kubectl get``, or only the metadata."""

from __future__ import annotations

import json
import re
from typing import Any

from aiohttp import web

from sandbox.kube.errors import not_acceptable
from sandbox.kube.objects import Object
from sandbox.kube.resources import Resource
from sandbox.kube.tables import table

TABLE, PARTIAL, PARTIAL_LIST = "Table", "PartialObjectMetadata", "PartialObjectMetadataList"
_WRITABLE = re.compile(r"json|\*/\*|application/\*|protobuf|yaml|cbor")


def dumps(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def json_response(value: Any, status: int = 200, content_type: str = "application/json") -> web.Response:
    """A JSON answer."""
    return web.Response(body=dumps(value), status=status, headers={"Content-Type": content_type})


def wanted(request: web.Request) -> str:
    """Table, PartialObjectMetadata(List) or, for plain JSON, an empty text; 406 when nothing we write is accepted."""
    accept = request.headers.get("Accept", "*/*")
    if not _WRITABLE.search(accept):
        raise not_acceptable()
    for kind in accept.split(","):
        transformed = re.search(r"as=(\w+)", kind)
        if transformed and "g=meta.k8s.io" in kind:
            return transformed[1]
        if not transformed and _WRITABLE.search(kind):
            break
    return ""


def partial(obj: Object) -> Object:
    """The object's metadata alone."""
    return {"kind": PARTIAL, "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def versioned(resource: Resource, obj: Object) -> Object:
    """The object under the apiVersion it was asked for (custom resources may have several)."""
    return obj if obj["apiVersion"] == resource.api_version else {**obj, "apiVersion": resource.api_version}


def include_object(request: web.Request) -> str:
    """What a table row carries beside its cells: None, Metadata or Object."""
    return request.query.get("includeObject", "Metadata")


def write_object(request: web.Request, resource: Resource, obj: Object, status: int = 200) -> web.Response:
    """One object, as the client wants it."""
    form = wanted(request)
    if form == TABLE:
        metadata = {"resourceVersion": obj["metadata"]["resourceVersion"]}
        return json_response(table(resource, [obj], metadata, include_object(request)), status)
    if form == PARTIAL:
        return json_response(partial(obj), status)
    return json_response(versioned(resource, obj), status)


def write_list(request: web.Request, resource: Resource, items: list[Object], metadata: Object) -> web.Response:
    """A list, as the client wants it."""
    form = wanted(request)
    if form == TABLE:
        return json_response(table(resource, items, metadata, include_object(request)))
    if form == PARTIAL_LIST:
        kept = [{"metadata": obj["metadata"]} for obj in items]
        return json_response({"kind": form, "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "items": kept})
    if resource.is_custom:
        listed = [versioned(resource, obj) for obj in items]
    else:  # items of built-in lists carry neither kind nor apiVersion
        listed = [{key: value for key, value in obj.items() if key not in ("kind", "apiVersion")} for obj in items]
    kind = f"{resource.kind}List"
    return json_response({"kind": kind, "apiVersion": resource.api_version, "metadata": metadata, "items": listed})
