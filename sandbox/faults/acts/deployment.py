"""A Deployment that is somebody else's: one container, whose image the registry need not have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def somebodys(
    name: str, labels: Mapping[str, str], image: str, *, replicas: int = 1, annotations: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The object; its pods carry `labels`, among them ``app``, and end at once."""
    container = {"name": "main", "image": image, "command": ["serve"]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": dict(labels), "annotations": dict(annotations or {})},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": labels["app"]}},
            "template": {
                "metadata": {"labels": dict(labels)},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
            },
        },
    }
