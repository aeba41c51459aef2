"""A pod's volumes as directories below its root directory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from sandbox.client import ApiError, Client, Object

from . import fields
from .configuration import CONFIG_MAP, SECRET, ConfigurationError, Kind, read

SERVICE_ACCOUNT_MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
SERVICE_ACCOUNT_VOLUME: Object = {
    "name": "kube-api-access",
    "projected": {
        "sources": [
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
        ]
    },
}

Files = dict[str, bytes]


class MountError(Exception):
    """A volume cannot be set up; the text is that of the event ``FailedMount``."""


async def set_up(client: Client, pod: Object, root: Path, directory: Path) -> None:
    """Fill each volume's directory below `directory` and link it below `root` wherever a container mounts it."""
    volumes = list(pod["spec"].get("volumes") or ())
    containers = [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]
    mounts = [mount for container in containers for mount in container.get("volumeMounts") or ()]
    has_account = any(mount["mountPath"] == SERVICE_ACCOUNT_MOUNT for mount in mounts)
    if not has_account and pod["spec"].get("automountServiceAccountToken", True):
        volumes.append(SERVICE_ACCOUNT_VOLUME)
        mounts.append({"name": SERVICE_ACCOUNT_VOLUME["name"], "mountPath": SERVICE_ACCOUNT_MOUNT})
    for volume in volumes:
        try:
            files = await _files(client, pod, volume)
        except (ConfigurationError, ApiError) as error:
            raise MountError(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}') from None
        target = directory / volume["name"]
        target.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(content)
    for mount in mounts:
        _link(root / mount["mountPath"].lstrip("/"), directory / mount["name"] / mount.get("subPath", ""))


def _link(place: Path, target: Path) -> None:
    """All containers of a pod share its root directory, so the same mount may come twice."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.is_symlink():
        place.symlink_to(target)


async def _files(client: Client, pod: Object, volume: Object) -> Files:
    for kind, source_files in SOURCES.items():
        if kind in volume:
            return await source_files(client, pod, volume[kind])
    kinds = ", ".join(key for key in volume if key != "name")
    raise ConfigurationError(f"no volume plugin matched: {kinds}")


async def _empty(client: Client, pod: Object, source: Mapping[str, Any]) -> Files:
    return {}


async def _config_map(client: Client, pod: Object, source: Mapping[str, Any]) -> Files:
    return await _keys(client, CONFIG_MAP, pod, source)


async def _secret(client: Client, pod: Object, source: Mapping[str, Any]) -> Files:
    return await _keys(client, SECRET, pod, source)


async def _keys(client: Client, kind: Kind, pod: Object, source: Mapping[str, Any]) -> Files:
    values = await read(client, kind, pod["metadata"]["namespace"], source)
    if values is None or not source.get("items"):
        return values or {}
    for item in source["items"]:
        if item["key"] not in values and not source.get("optional"):
            raise ConfigurationError(kind.missing_volume_key + item["key"])
    return {item["path"]: values[item["key"]] for item in source["items"] if item["key"] in values}


async def _downward(client: Client, pod: Object, source: Mapping[str, Any]) -> Files:
    return {item["path"]: fields.value(pod, item["fieldRef"]["fieldPath"]).encode() for item in source["items"]}


async def _token(client: Client, pod: Object, source: Mapping[str, Any]) -> Files:
    metadata = pod["metadata"]
    account = pod["spec"].get("serviceAccountName") or "default"
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {
            "audiences": [source["audience"]] if source.get("audience") else [],
            "expirationSeconds": source.get("expirationSeconds", 3600),
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]},
        },
    }
    path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token"
    answer = await client.create(path, request)
    return {source["path"]: answer["status"]["token"].encode()}


async def _projected(client: Client, pod: Object, source: Mapping[str, Any]) -> Files:
    files: Files = {}
    for projection in source["sources"]:
        for kind, source_files in PROJECTIONS.items():
            if kind in projection:
                files |= await source_files(client, pod, projection[kind])
    return files


Source = Callable[[Client, Object, Mapping[str, Any]], Awaitable[Files]]

PROJECTIONS: dict[str, Source] = {
    "configMap": _config_map,
    "secret": _secret,
    "downwardAPI": _downward,
    "serviceAccountToken": _token,
}
SOURCES: dict[str, Source] = {
    "configMap": _config_map,
    "secret": _secret,
    "emptyDir": _empty,
    "projected": _projected,
}
