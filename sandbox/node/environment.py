"""A container's environment: ``envFrom``, ``env``, ``valueFrom`` and ``$(VAR)``."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sandbox.client import Client, Object

from . import fields
from .configuration import CONFIG_MAP, SECRET, ConfigurationError, Kind, read

REFERENCE = re.compile(r"\$(\$|\(([^()]+)\))")

FROM: dict[str, Kind] = {"configMapRef": CONFIG_MAP, "secretRef": SECRET}
KEY_FROM: dict[str, Kind] = {"configMapKeyRef": CONFIG_MAP, "secretKeyRef": SECRET}


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace ``$(NAME)``; an unknown name stays as it stands, ``$$(NAME)`` becomes ``$(NAME)``."""

    def replacement(match: re.Match[str]) -> str:
        return "$" if match[2] is None else variables.get(match[2], match[0])

    return REFERENCE.sub(replacement, text)


def of_node(services: Path, api_url: str, own: Mapping[str, str]) -> dict[str, str]:
    """What every pod's environment begins with: this interpreter and repository, and the pod's view of the network.

    `services`: the file that `ServiceProxy` writes; `api_url`: the API server as this node reaches it; `own`: what the
    node adds.
    """
    api = urlsplit(api_url)
    return {
        **of_python(services, own),
        "KUBERNETES_SERVICE_HOST": api.hostname or "",
        "KUBERNETES_SERVICE_PORT": str(api.port or 443),
    }


def of_python(services: Path, own: Mapping[str, str]) -> dict[str, str]:
    """As much of it as there is before there is an API server."""
    here = Path(__file__)
    inherited = ("LANG", "LC_ALL", "PATH", "SANDBOX_TIME_SCALE")
    machine = {name: os.environ[name] for name in inherited if name in os.environ} | dict(own)
    return {
        **machine,
        "PATH": f"{Path(sys.executable).parent}:{machine['PATH']}",
        "PYTHONPATH": f"{here.with_name('pod_site')}:{here.parents[2]}",
        "PYTHONUNBUFFERED": "1",
        "SANDBOX_SERVICES": str(services),
    }


async def resolve(client: Client, pod: Object, container: Object, base: Mapping[str, str]) -> dict[str, str]:
    """`base` and what the container's spec adds, later entries over earlier ones; raises `ConfigurationError`."""
    variables = dict(base)
    namespace = pod["metadata"]["namespace"]
    for source in container.get("envFrom") or ():
        for reference, kind in FROM.items():
            if reference in source:
                values = await read(client, kind, namespace, source[reference])
                prefix = source.get("prefix", "")
                variables |= {prefix + key: value.decode() for key, value in (values or {}).items()}
    for entry in container.get("env") or ():
        if "valueFrom" not in entry:
            variables[entry["name"]] = expand(entry.get("value") or "", variables)
            continue
        value = await _value_from(client, pod, entry["valueFrom"])
        if value is not None:
            variables[entry["name"]] = value
    return variables


async def _value_from(client: Client, pod: Object, source: Mapping[str, Any]) -> str | None:
    if "fieldRef" in source:
        return fields.value(pod, source["fieldRef"]["fieldPath"])
    namespace = pod["metadata"]["namespace"]
    for name, kind in KEY_FROM.items():
        if name not in source:
            continue
        reference = source[name]
        values = await read(client, kind, namespace, reference)
        key = reference["key"]
        if values is not None and key in values:
            return values[key].decode()
        if reference.get("optional"):
            return None
        raise ConfigurationError(f"couldn't find key {key} in {kind.name} {namespace}/{reference['name']}")
    raise ConfigurationError(f"invalid valueFrom: {', '.join(source)}")
