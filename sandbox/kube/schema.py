"""Structural schemas of custom resources: default, prune and validate an object in place."""

from __future__ import annotations

import json
import re
from typing import Any

from sandbox.kube.errors import Cause
from sandbox.kube.objects import Object, clone

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
OBJECT_FIELDS = ("apiVersion", "kind", "metadata")


def apply(schema: Object, obj: Object) -> list[Cause]:
    """Fill defaults in, drop unknown fields and return what is invalid."""
    causes: list[Cause] = []
    _visit(schema, obj, "", causes)
    return causes


def _visit(schema: Object, value: Any, path: str, causes: list[Cause]) -> None:
    if value is None:
        return
    if schema.get("x-kubernetes-int-or-string"):
        if not isinstance(value, (int, str)):
            causes.append(Cause(path, "FieldValueTypeInvalid", "Invalid value: must be integer or string"))
        return
    expected = TYPES.get(schema.get("type", ""))
    is_number_as_bool = isinstance(value, bool) and schema.get("type") != "boolean"
    if expected and (not isinstance(value, expected) or is_number_as_bool):
        text = f"Invalid value: {json.dumps(_type_name(value))}: {path} in body must be of type {schema['type']}: "
        causes.append(Cause(path, "FieldValueTypeInvalid", text + json.dumps(_type_name(value))))
        return
    if isinstance(value, dict):
        _visit_object(schema, value, path, causes)
    elif isinstance(value, list):
        _visit_list(schema, value, path, causes)
    else:
        _check_scalar(schema, value, path, causes)


def _type_name(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return next(name for name, types in TYPES.items() if isinstance(value, types))


def _visit_object(schema: Object, value: Object, path: str, causes: list[Cause]) -> None:
    properties, additional = schema.get("properties", {}), schema.get("additionalProperties")
    for key, child in properties.items():
        if key not in value and "default" in child:
            value[key] = clone(child["default"])
    keeps_unknown = additional or schema.get("x-kubernetes-preserve-unknown-fields")
    for key in list(value):
        child = properties.get(key) or (additional if isinstance(additional, dict) else None)
        if child:
            _visit(child, value[key], f"{path}.{key}" if path else key, causes)
        elif not keeps_unknown and not (key in OBJECT_FIELDS and not path):
            del value[key]
    for key in schema.get("required", []):
        if key not in value:
            causes.append(Cause(f"{path}.{key}" if path else key, "FieldValueRequired", "Required value"))


def _visit_list(schema: Object, value: list[Any], path: str, causes: list[Cause]) -> None:
    for index, item in enumerate(value):
        _visit(schema.get("items", {}), item, f"{path}[{index}]", causes)
    if len(value) > schema.get("maxItems", len(value)):
        text = f"Too many: {len(value)}: must have at most {schema['maxItems']} items"
        causes.append(Cause(path, "FieldValueTooMany", text))
    if len(value) < schema.get("minItems", 0):
        text = f"Invalid value: {len(value)}: {path} in body should have at least {schema['minItems']} items"
        causes.append(Cause(path, "FieldValueInvalid", text))


def _check_scalar(schema: Object, value: Any, path: str, causes: list[Cause]) -> None:
    shown = json.dumps(value)
    if "enum" in schema and value not in schema["enum"]:
        supported = ", ".join(json.dumps(item) for item in schema["enum"])
        causes.append(
            Cause(path, "FieldValueNotSupported", f"Unsupported value: {shown}: supported values: {supported}")
        )
    for holds, rule in _limits(schema, value):
        if not holds:
            causes.append(Cause(path, "FieldValueInvalid", f"Invalid value: {shown}: {path} in body should {rule}"))


def _limits(schema: Object, value: Any) -> list[tuple[bool, str]]:
    if isinstance(value, str):
        pattern, shortest, longest = (schema.get(key) for key in ("pattern", "minLength", "maxLength"))
        return [
            (pattern is None or re.search(pattern, value) is not None, f"match '{pattern}'"),
            (shortest is None or len(value) >= shortest, f"be at least {shortest} chars long"),
            (longest is None or len(value) <= longest, f"be at most {longest} chars long"),
        ]
    if isinstance(value, bool):
        return []
    least, most = schema.get("minimum"), schema.get("maximum")
    return [
        (least is None or value >= least, f"be greater than or equal to {least}"),
        (most is None or value <= most, f"be less than or equal to {most}"),
    ]
