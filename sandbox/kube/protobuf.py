"""The few protobuf bodies that kubectl insists on: ``create configmap|secret`` and ``auth can-i|whoami``."""

from __future__ import annotations

import base64
from collections.abc import Callable

from sandbox.kube.errors import unsupported_media_type
from sandbox.kube.objects import Object

MAGIC = b"k8s\0"

Fields = dict[int, list[bytes | int]]


def decode(body: bytes) -> Object:
    """A ``k8s\\0`` envelope (runtime.Unknown) as a plain object; 415 for kinds nobody sends here."""
    envelope = _fields(body[len(MAGIC) :])
    type_meta, raw = _fields(_bytes(envelope, 1)), _fields(_bytes(envelope, 2))
    api_version, kind = _text(type_meta, 1), _text(type_meta, 2)
    if kind not in _KINDS:
        raise unsupported_media_type(
            f"the body of the request was in an unknown format - protobuf of kind {kind} is not decoded here; send JSON"
        )
    return {"apiVersion": api_version, "kind": kind, **_KINDS[kind](raw)}


def _fields(message: bytes) -> Fields:
    """Field number -> values of a message: varints as int, length-delimited fields as bytes (all that occurs here)."""
    fields: Fields = {}
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        if tag & 7 == 0:
            value: bytes | int
            value, position = _varint(message, position)
        else:
            length, position = _varint(message, position)
            value, position = message[position : position + length], position + length
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, position


def _bytes(fields: Fields, number: int) -> bytes:
    value = fields.get(number, [b""])[0]
    return value if isinstance(value, bytes) else b""


def _text(fields: Fields, number: int) -> str:
    return _bytes(fields, number).decode()


def _present(**values: object) -> Object:
    return {key: value for key, value in values.items() if value}


def _map(fields: Fields, number: int, convert: Callable[[bytes], str] = bytes.decode) -> dict[str, str]:
    entries = [_fields(entry) for entry in fields.get(number, []) if isinstance(entry, bytes)]
    return {_text(entry, 1): convert(_bytes(entry, 2)) for entry in entries}


def _object_meta(fields: Fields) -> Object:
    meta = _fields(_bytes(fields, 1))
    return _present(
        name=_text(meta, 1),
        generateName=_text(meta, 2),
        namespace=_text(meta, 3),
        labels=_map(meta, 11),
        annotations=_map(meta, 12),
    )


def _config_map(fields: Fields) -> Object:
    return {"metadata": _object_meta(fields), "data": _map(fields, 2)}


def _secret(fields: Fields) -> Object:
    data = _map(fields, 2, lambda value: base64.b64encode(value).decode())
    return {"metadata": _object_meta(fields), "data": data, **_present(type=_text(fields, 3))}


def _access_review(fields: Fields) -> Object:
    spec = _fields(_bytes(fields, 2))
    resource, path = _fields(_bytes(spec, 1)), _fields(_bytes(spec, 2))
    names = ("namespace", "verb", "group", "version", "resource", "subresource", "name")
    attributes = _present(**{name: _text(resource, number) for number, name in enumerate(names, 1)})
    non_resource = _present(path=_text(path, 1), verb=_text(path, 2))
    return {
        "metadata": _object_meta(fields),
        "spec": _present(resourceAttributes=attributes, nonResourceAttributes=non_resource),
    }


def _rules_review(fields: Fields) -> Object:
    namespace = _text(_fields(_bytes(fields, 2)), 1)
    return {"metadata": _object_meta(fields), "spec": _present(namespace=namespace)}


def _metadata_only(fields: Fields) -> Object:
    return {"metadata": _object_meta(fields)}


_KINDS: dict[str, Callable[[Fields], Object]] = {
    "ConfigMap": _config_map,
    "Secret": _secret,
    "SelfSubjectAccessReview": _access_review,
    "SelfSubjectReview": _metadata_only,
    "SelfSubjectRulesReview": _rules_review,
}
