"""Objects that the self-tests of the Kubernetes API create."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def config_map(name: str, data: dict[str, str] | None = None, **metadata: Any) -> Object:
    data = {"key": "value"} if data is None else data
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": data}


def pod(name: str, *, labels: dict[str, str] | None = None, **spec: Any) -> Object:
    containers = [{"name": "main", "image": "busybox", "resources": spec.pop("resources", {})}]
    metadata = {"name": name, "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers, **spec}}


def deployment(name: str, *, replicas: int = 1, image: str = "app:1", **spec: Any) -> Object:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **spec},
    }


def node(name: str, *, ready: str = "True", labels: dict[str, str] | None = None, **allocatable: str) -> Object:
    """Resource names are given with underscores: ``nvidia_com__gpu`` is ``nvidia.com/gpu``."""
    resources = {key.replace("__", "/").replace("_", "."): value for key, value in allocatable.items()}
    resources = {"cpu": "4", "memory": "8Gi", "pods": "110", **resources}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {},
        "status": {"capacity": resources, "conditions": [{"type": "Ready", "status": ready}]},
    }


def owned_by(owner: Any, **more: Any) -> list[Object]:
    """Owner references to an object that the official client returned."""
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner.metadata.name, "uid": owner.metadata.uid}
    return [{**reference, **more}]
