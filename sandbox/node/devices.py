"""Devices of a node, as device plug-ins register them with the kubelet, and which container has which.

A plug-in registers by a file in the machine's folder ``plugins``: ``{"resource": "nvidia.com/gpu", "pid": 7, "devices":
{"<id>": true}, "environment": {"NAME": "{devices}"}, "path": "<folder of programs>"}``; true: healthy. It is
registered for as long as the file is there and the process lives. Devices of one that has gone count as unhealthy. The
folder ``checkpoint`` has a file for every resource that was ever registered: after a kubelet's restart it has none of
them until the plug-in comes back, but is not forgotten.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.client import Object

DEVICES = "SANDBOX_DEVICES"  # in a container's environment, for the stand-ins of the vendors' tools


class AdmissionError(Exception):
    """The node cannot give a pod what the scheduler promised it; the text is the kubelet's."""


class Devices:
    """`machine`: the folder of the machine that the kubelet runs on."""

    def __init__(self, machine: Path) -> None:
        self._plugins, self._checkpoint = machine / "plugins", machine / "checkpoint"
        for folder in (self._plugins, self._checkpoint):
            folder.mkdir(parents=True, exist_ok=True)
        self._known: dict[str, int] = {path.read_text(): 0 for path in self._checkpoint.iterdir()}
        self._held: dict[str, set[str]] = {}  # by the pod's uid

    def counts(self) -> dict[str, tuple[int, int]]:
        """By resource how many devices there are, and how many of them are healthy."""
        healthy = dict.fromkeys(self._known, 0)
        for name, found in self._registered().items():
            if name not in self._known:
                (self._checkpoint / name.replace("/", "_")).write_text(name)
            self._known[name] = len(found["devices"])
            healthy[name] = sum(found["devices"].values())
        return {name: (count, healthy[name]) for name, count in self._known.items()}

    def allocate(self, uid: str, containers: list[Object]) -> dict[str, dict[str, str]]:
        """By container what its environment gets for the devices it asks for. AdmissionError.

        A resource that never was registered is taken for nothing, as a kubelet does.
        """
        registered = self._registered()
        variables: dict[str, dict[str, str]] = {}
        for container in containers:
            limits = (container.get("resources") or {}).get("limits") or {}
            for resource in self._known.keys() & limits.keys():
                plugin = registered.get(resource, {"devices": {}})
                if taken := self._take(uid, resource, int(limits[resource]), plugin["devices"]):
                    variables[container["name"]] = _environment(plugin, taken)
        return variables

    def release(self, uid: str) -> None:
        """The pod holds nothing any more."""
        self._held.pop(uid, None)

    def _take(self, uid: str, resource: str, count: int, devices: Mapping[str, bool]) -> list[str]:
        held = {device for taken in self._held.values() for device in taken}
        healthy = [device for device, well in devices.items() if well]
        if count and not healthy:
            self.release(uid)
            raise AdmissionError(
                f"Allocate failed due to no healthy devices present; cannot allocate unhealthy devices {resource}, "
                "which is unexpected"
            )
        free = [device for device in healthy if device not in held]
        if count > len(free):
            self.release(uid)
            raise AdmissionError(
                f"Allocate failed due to requested number of devices unavailable for {resource}. "
                f"Requested: {count}, Available: {len(free)}, which is unexpected"
            )
        self._held.setdefault(uid, set()).update(free[:count])
        return free[:count]

    def _registered(self) -> dict[str, dict[str, Any]]:
        """By resource what its plug-in said, where it still runs."""
        found = filter(None, map(_registration, self._plugins.glob("*.json")))
        return {one["resource"]: one for one in found}


def _environment(plugin: Mapping[str, Any], devices: list[str]) -> dict[str, str]:
    listed = ",".join(devices)
    own = {name: value.format(devices=listed) for name, value in plugin["environment"].items()}
    return {DEVICES: listed, **own, **({"PATH": plugin["path"]} if plugin["path"] else {})}


def _registration(path: Path) -> dict[str, Any] | None:
    """What the file says; None where the plug-in is gone."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
        os.kill(found["pid"], 0)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return found
