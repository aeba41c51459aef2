"""The downward API: a pod's own fields, by ``fieldPath``."""

from __future__ import annotations

import re
from collections.abc import Callable

from sandbox.client import Object

from .configuration import ConfigurationError

MAP_KEY = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")

FIELDS: dict[str, Callable[[Object], str]] = {
    "metadata.name": lambda pod: pod["metadata"]["name"],
    "metadata.namespace": lambda pod: pod["metadata"]["namespace"],
    "metadata.uid": lambda pod: pod["metadata"]["uid"],
    "spec.nodeName": lambda pod: pod["spec"]["nodeName"],
    "spec.serviceAccountName": lambda pod: pod["spec"].get("serviceAccountName", "default"),
    "status.podIP": lambda pod: pod["status"]["podIP"],
    "status.hostIP": lambda pod: pod["status"]["hostIP"],
}


def value(pod: Object, path: str) -> str:
    """The value of one field; an absent label or annotation is empty."""
    if match := MAP_KEY.fullmatch(path):
        return str(pod["metadata"].get(match[1], {}).get(match[2], ""))
    if path not in FIELDS:
        raise ConfigurationError(f"unsupported fieldPath: {path}")
    return FIELDS[path](pod)
