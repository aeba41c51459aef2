"""The ConfigMaps and Secrets a pod names, as bytes, and the kubelet's words when they are missing."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sandbox.client import ApiError, Client


class ConfigurationError(Exception):
    """A container's configuration cannot be put together; the text is the kubelet's."""


@dataclass(frozen=True)
class Kind:
    """How one kind is read: where it lives, its name in messages, its encoding, how a volume's complaint begins."""

    resource: str
    name: str
    decode: Callable[[str], bytes]
    missing_volume_key: str


CONFIG_MAP = Kind("configmaps", "ConfigMap", str.encode, "configmap references non-existent config key: ")
SECRET = Kind("secrets", "Secret", base64.b64decode, "references non-existent secret key: ")


async def read(client: Client, kind: Kind, namespace: str, reference: Mapping[str, object]) -> dict[str, bytes] | None:
    """All keys of the object that `reference` names (``name``, ``optional``); None if it may be missing and is."""
    name = reference.get("name") or reference.get("secretName")
    try:
        found = await client.get(f"/api/v1/namespaces/{namespace}/{kind.resource}/{name}")
    except ApiError as error:
        if error.status != 404:
            raise
        if reference.get("optional"):
            return None
        raise ConfigurationError(f'{kind.name.lower()} "{name}" not found') from None
    values = {key: kind.decode(value) for key, value in (found.get("data") or {}).items()}
    return values | {key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()}
