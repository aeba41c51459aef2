"""Plain Kubernetes objects (dicts): reading, copying, owners, conditions, timestamps."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

Object = dict[str, Any]

# Kubernetes leaves out vowels and look-alikes, so that no generated name spells a word.
SAFE_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def clone(value: Any) -> Any:
    """A deep copy of JSON data (several times faster than `copy.deepcopy`, and every write copies)."""
    if isinstance(value, dict):
        return {key: clone(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clone(item) for item in value]
    return value


def get(obj: Any, path: str, default: Any = None) -> Any:
    """The value at a dotted path such as ``spec.template.metadata``; `default` where a step is absent or null."""
    for step in path.split("."):
        obj = obj.get(step) if isinstance(obj, dict) else None
        if obj is None:
            return default
    return obj


def timestamp(seconds_from_now: float = 0) -> str:
    """RFC 3339 in whole seconds, as metav1.Time is written."""
    return (datetime.now(UTC) + timedelta(seconds=seconds_from_now)).strftime("%Y-%m-%dT%H:%M:%SZ")


def random_suffix(length: int = 5) -> str:
    """What generateName appends."""
    return "".join(secrets.choice(SAFE_ALPHABET) for _ in range(length))


def name_of(obj: Object) -> tuple[str, str]:
    """(namespace, name); the namespace of a cluster-scoped object is empty."""
    metadata = obj["metadata"]
    return metadata.get("namespace") or "", metadata["name"]


def owners(obj: Object) -> list[Object]:
    """metadata.ownerReferences, never None."""
    return obj["metadata"].get("ownerReferences") or []


def controller_uid(obj: Object) -> str | None:
    """The uid of the one owner that controls the object."""
    return next((reference["uid"] for reference in owners(obj) if reference.get("controller")), None)


def controller_reference(owner: Object) -> Object:
    """An owner reference as the built-in controllers set it on what they create."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def condition(obj: Object, kind: str) -> Object | None:
    """The condition of that type in status.conditions."""
    return next((item for item in get(obj, "status.conditions", []) if item.get("type") == kind), None)


def condition_is(obj: Object, kind: str, status: str = "True") -> bool:
    """Whether the condition of that type has that status."""
    found = condition(obj, kind)
    return found is not None and found.get("status") == status


def with_condition(conditions: list[Object], new: Object) -> list[Object]:
    """The conditions with `new` set; lastTransitionTime moves only when the status changes."""
    old = next((item for item in conditions if item["type"] == new["type"]), None)
    moved = old is None or old["status"] != new["status"]
    stamped = {**new, "lastTransitionTime": timestamp() if moved or old is None else old.get("lastTransitionTime")}
    if old is None:
        return [*conditions, stamped]
    return [stamped if item is old else item for item in conditions]


def is_deleting(obj: Object) -> bool:
    """Whether the object has a deletionTimestamp."""
    return "deletionTimestamp" in obj["metadata"]


def is_terminal(pod: Object) -> bool:
    """Whether the pod has ended and will not run again."""
    return get(pod, "status.phase") in ("Succeeded", "Failed")


def containers(pod_spec: Object) -> Iterator[Object]:
    """Containers and init containers of a pod spec."""
    yield from pod_spec.get("containers") or []
    yield from pod_spec.get("initContainers") or []
