"""OpenAPI v3, as much as ``kubectl apply`` and ``create`` look at: which parameters a resource's requests take."""

from __future__ import annotations

from aiohttp import web

from sandbox.kube.errors import PathNotFound, not_served
from sandbox.kube.negotiation import json_response
from sandbox.kube.objects import Object
from sandbox.kube.resources import Resource, Resources

PARAMETERS = [
    {"name": name, "in": "query", "schema": {"type": "string"}}
    for name in ("dryRun", "fieldManager", "fieldValidation", "force")
]
INFO = {"title": "Kubernetes", "version": "v1.36.0"}
OBJECT_METHODS = (("get", "get"), ("put", "put"), ("patch", "patch"), ("delete", "delete"))
COLLECTION_METHODS = (("get", "list"), ("post", "post"))


def handle(resources: Resources, parts: list[str]) -> web.Response:
    """Answer ``/openapi/v3`` and ``/openapi/v3/<group version>``."""
    if parts[1:2] != ["v3"]:
        raise not_served(f"/{'/'.join(parts)}")
    paths = sorted({_root(resource) for resource in resources})
    if len(parts) == 2:
        return json_response({"paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}"} for path in paths}})
    root = "/".join(parts[2:])
    if root not in paths:
        raise PathNotFound
    return json_response(_document(root, [resource for resource in resources if _root(resource) == root]))


def _root(resource: Resource) -> str:
    return f"{'apis' if resource.group else 'api'}/{resource.api_version}"


def _document(root: str, resources: list[Resource]) -> Object:
    paths: Object = {}
    schemas: Object = {}
    for resource in resources:
        kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
        schema_name = f"{resource.group or 'core'}.{resource.version}.{resource.kind}"
        schemas[schema_name] = {"type": "object", **(resource.schema or {}), "x-kubernetes-group-version-kind": [kind]}
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema_name}"}}}
        common = {
            "parameters": PARAMETERS,
            "responses": {"200": {"description": "OK", "content": content}},
            "x-kubernetes-group-version-kind": kind,
        }
        scope = "namespaces/{namespace}/" if resource.namespaced else ""
        collection = f"/{root}/{scope}{resource.plural}"
        for path, methods in ((collection, COLLECTION_METHODS), (f"{collection}/{{name}}", OBJECT_METHODS)):
            paths[path] = {method: {**common, "x-kubernetes-action": action} for method, action in methods}
    return {"openapi": "3.0.0", "info": INFO, "paths": paths, "components": {"schemas": schemas}}
