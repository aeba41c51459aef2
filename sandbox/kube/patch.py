"""Merge patch (RFC 7386), JSON patch (RFC 6902) and Kubernetes' strategic merge patch over plain objects."""

from __future__ import annotations

from typing import Any

from sandbox.kube.errors import rejected_patch
from sandbox.kube.objects import clone


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386: null removes, lists are replaced."""
    if not isinstance(patch, dict):
        return clone(patch)
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


# Lists of objects that are merged by a key instead of being replaced (patchMergeKey in the API's Go types).
MERGE_KEYS = {
    "conditions": "type",
    "containers": "name",
    "env": "name",
    "ephemeralContainers": "name",
    "hostAliases": "ip",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ownerReferences": "uid",
    "secrets": "name",
    "topologySpreadConstraints": "topologyKey",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
ORDER, DELETE_FROM = "$setElementOrder/", "$deleteFromPrimitiveList/"


def strategic(target: Any, patch: Any) -> Any:
    """A strategic merge patch of a built-in object: like `merge`, but the lists of `MERGE_KEYS` by their key."""
    if not isinstance(patch, dict):
        return clone(patch)
    if patch.get("$patch") == "replace":
        return {key: clone(value) for key, value in patch.items() if key != "$patch"}
    merged = dict(target) if isinstance(target, dict) else {}
    if "$retainKeys" in patch:
        merged = {key: value for key, value in merged.items() if key in patch["$retainKeys"]}
    for key, value in patch.items():
        if key.startswith(DELETE_FROM):
            field = key.removeprefix(DELETE_FROM)
            merged[field] = [item for item in merged.get(field) or [] if item not in value]
        elif key == "$retainKeys" or key.startswith(ORDER):
            continue
        elif value is None:
            merged.pop(key, None)
        elif isinstance(value, list):
            merged[key] = _strategic_list(merged.get(key) or [], value, key, patch.get(ORDER + key))
        else:
            merged[key] = strategic(merged.get(key), value)
    return merged


def _strategic_list(target: list[Any], patch: list[Any], field: str, order: list[Any] | None) -> list[Any]:
    if field == "finalizers":
        return list(dict.fromkeys([*target, *patch]))
    key = _merge_key(field, patch)
    if not key or not all(isinstance(item, dict) for item in patch):
        replaced: list[Any] = clone(patch)
        return replaced
    if any(item.get("$patch") == "replace" for item in patch):
        return [clone(item) for item in patch if "$patch" not in item]
    deleted = {item.get(key) for item in patch if item.get("$patch") == "delete"}
    items = {item.get(key): item for item in target if item.get(key) not in deleted}
    patched = [item[key] for item in patch if item.get("$patch") != "delete" and key in item]
    for item in patch:
        if item.get(key) in patched:
            items[item[key]] = strategic(items.get(item[key]), item)
    wanted = [item.get(key) for item in order] if order else patched
    return [items[name] for name in _ordered([item.get(key) for item in target], wanted, items)]


def _merge_key(field: str, patch: list[Any]) -> str | None:
    if field == "ports":  # of a container or of a Service
        return "containerPort" if any("containerPort" in item for item in patch) else "port"
    return MERGE_KEYS.get(field)


def _ordered(before: list[Any], wanted: list[Any], present: dict[Any, Any]) -> list[Any]:
    """Merge two orders as kube-apiserver does: an element that is new in the patch goes before the untouched ones."""
    index = {name: position for position, name in enumerate(before)}
    untouched = [name for name in before if name in present and name not in wanted]
    right = [name for name in wanted if name in present]
    merged = []
    while untouched and right:
        left_first = index[untouched[0]] < index.get(right[0], -1)
        merged.append((untouched if left_first else right).pop(0))
    return merged + untouched + right


# Below these paths are maps with free keys: kube-apiserver lets `replace` create an absent one.
FREE_KEYS = ("/data/", "/metadata/labels/", "/metadata/annotations/")


def json_patch(document: Any, operations: list[dict[str, Any]]) -> Any:
    """RFC 6902; raises 422 where an operation does not apply, and leaves `document` as it is."""
    document = clone(document)
    try:
        for operation in operations:
            _apply(document, operation)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise rejected_patch() from error
    return document


def _apply(document: Any, operation: dict[str, Any]) -> None:
    name, path = operation["op"], operation["path"]
    if name == "add":
        _add(document, path, operation["value"])
    elif name == "remove":
        _remove(document, path)
    elif name == "replace":
        if not path.startswith(FREE_KEYS):
            _read(document, path)
        parent, key = _parent(document, path)
        parent[_index(parent, key)] = clone(operation["value"])
    elif name == "test":
        if _read(document, path) != operation["value"]:
            raise ValueError(path)
    elif name == "move":
        _add(document, path, _remove(document, operation["from"]))
    elif name == "copy":
        _add(document, path, clone(_read(document, operation["from"])))
    else:
        raise ValueError(name)


def _parent(document: Any, path: str) -> tuple[Any, str]:
    *steps, last = [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]
    for step in steps:
        document = document[_index(document, step)]
    return document, last


def _index(parent: Any, key: str) -> Any:
    return int(key) if isinstance(parent, list) else key


def _read(document: Any, path: str) -> Any:
    parent, key = _parent(document, path)
    return parent[_index(parent, key)]


def _remove(document: Any, path: str) -> Any:
    parent, key = _parent(document, path)
    return parent.pop(_index(parent, key))


def _add(document: Any, path: str, value: Any) -> None:
    parent, key = _parent(document, path)
    if isinstance(parent, list):
        parent.insert(len(parent) if key == "-" else int(key), clone(value))
    else:
        parent[key] = clone(value)
