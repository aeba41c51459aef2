"""Request bodies: JSON, YAML and the protobuf that kubectl sends; fields that do not belong there."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import yaml

from sandbox.kube import protobuf
from sandbox.kube.errors import bad_request, unsupported_media_type
from sandbox.kube.objects import Object
from sandbox.kube.resources import Resource

ACCEPTED = "application/json, application/yaml, application/vnd.kubernetes.protobuf"

TYPE_META = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'

# Top-level fields beside apiVersion, kind and metadata; a kind that is not listed has spec and status.
FIELDS: dict[str, tuple[str, ...]] = {
    "ClusterRole": ("aggregationRule", "rules"),
    "ClusterRoleBinding": ("roleRef", "subjects"),
    "ConfigMap": ("binaryData", "data", "immutable"),
    "Endpoints": ("subsets",),
    "EndpointSlice": ("addressType", "endpoints", "ports"),
    "Event": (
        "action",
        "count",
        "eventTime",
        "firstTimestamp",
        "involvedObject",
        "lastTimestamp",
        "message",
        "reason",
        "related",
        "reportingComponent",
        "reportingInstance",
        "series",
        "source",
        "type",
    ),
    "MutatingWebhookConfiguration": ("webhooks",),
    "PriorityClass": ("description", "globalDefault", "preemptionPolicy", "value"),
    "Role": ("rules",),
    "RoleBinding": ("roleRef", "subjects"),
    "Secret": ("data", "immutable", "stringData", "type"),
    "ValidatingWebhookConfiguration": ("webhooks",),
    "ServiceAccount": ("automountServiceAccountToken", "imagePullSecrets", "secrets"),
}
# Maps whose values must be strings.
STRING_MAPS = {"ConfigMap": ("data",), "Secret": ("data", "stringData")}


def decode(body: bytes, content_type: str, kind: str) -> Any:
    """The body as plain data; 400 when it cannot be read, 415 for another content type. `kind` is for the message."""
    if body.startswith(protobuf.MAGIC):
        return protobuf.decode(body)
    if "yaml" in content_type:
        return yaml.load(body, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    if content_type not in ("application/json", "application/octet-stream") and not content_type.endswith("+json"):
        message = f"the body of the request was in an unknown format - accepted media types include: {ACCEPTED}"
        raise unsupported_media_type(message)
    if not body:
        raise _unrecognized(kind, "unexpected end of JSON input (<empty>)")
    try:
        return json.loads(body)
    except ValueError as error:
        raise _unrecognized(kind, f"{error} ({body[:100].decode(errors='replace')})") from error


def decode_object(body: bytes, content_type: str, resource: Resource) -> Object:
    """An object of the resource's kind, with apiVersion and kind set; 400 for another kind or a wrong type."""
    obj = decode(body, content_type, resource.kind)
    if not isinstance(obj, dict):
        text = f"json: cannot unmarshal array into Go value of type {TYPE_META} ({body.hex()})"
        raise _unrecognized(resource.kind, text)
    check_types(resource, obj)
    obj["apiVersion"], obj["kind"] = resource.api_version, resource.kind
    if not isinstance(obj.get("metadata"), dict):
        obj["metadata"] = {}
    return obj


def _unrecognized(kind: str, why: str) -> Exception:
    return bad_request(
        f"the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; "
        f"json parse error: {why}"
    )


def check_types(resource: Resource, obj: Object) -> None:
    """400 for another kind than the resource's, or for values that do not fit the kind's Go type."""
    sent = obj.get("kind") or resource.kind
    prefix = f'{sent} in version "{resource.version}" cannot be handled as a {resource.kind}'
    for field in STRING_MAPS.get(sent, ()):
        for value in (obj.get(field) or {}).values():
            if not isinstance(value, str):
                raise bad_request(f"{prefix}: {wrong_type(value, f'{sent}.{field}')}")
            if (sent, field) == ("Secret", "data"):
                _check_base64(value, prefix)
    if sent != resource.kind:
        raise bad_request(f'{prefix}: no kind "{sent}" is registered for version "{resource.api_version}"')


def wrong_type(value: Any, field: str) -> str:
    """Go's message about a value that is not a string."""
    names: Mapping[type, str] = {bool: "bool", int: "number", float: "number", list: "array"}
    name = names.get(type(value), "object")
    return f"json: cannot unmarshal {name} into Go struct field {field} of type string"


def _check_base64(value: str, prefix: str) -> None:
    try:
        base64.b64decode(value, validate=True)
    except ValueError as error:
        raise bad_request(f"{prefix}: illegal base64 data at input byte 0") from error


def drop_unknown_fields(resource: Resource, obj: Object, field_validation: str) -> list[str]:
    """Remove unknown top-level fields; returns a warning for each, or raises 400 when validation is Strict."""
    if resource.is_custom:
        return []
    known = {"apiVersion", "kind", "metadata", *FIELDS.get(resource.kind, ("spec", "status"))}
    warnings = [f'unknown field "{field}"' for field in obj if field not in known]
    if warnings and field_validation == "Strict":
        raise bad_request(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
            f"strict decoding error: {', '.join(warnings)}"
        )
    for field in [field for field in obj if field not in known]:
        del obj[field]
    return warnings if field_validation == "Warn" else []
