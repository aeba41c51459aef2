"""Devices of a node, as device plug-ins register them with the kubelet, and which container has which.

A plug-in registers by a file in the machine's folder ``plugins``: ``{"resource": "nvidia.com/gpu", "pid": 7, "devices":
{"<id>": true}, "environment": {"NAME": "{devices}"}, "path": "<folder of programs>"}``; true: healthy. It is
registered for as long as the file is there and the process lives. What was registered once stays known in the folder
``checkpoint``, as a kubelet keeps it: its devices count as unhealthy until the plug-in comes back.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from fractions import Fraction
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
        self._held: dict[str, dict[str, str]] = {}  # uid of the pod -> device -> resource

    def counts(self) -> dict[str, tuple[int, int]]:
        """By resource how many devices there are, and how many of them are healthy."""
        registered = {path.name: found for path in self._plugins.glob("*.json") if (found := _registration(path))}
        for name, found in registered.items():
            known = self._checkpoint / name
            if not known.exists() or json.loads(known.read_text()) != found:
                known.write_text(json.dumps(found))
        counted = {}
        for path in self._checkpoint.glob("*.json"):
            kept = json.loads(path.read_text())
            now = registered.get(path.name, {"devices": {}})["devices"]
            counted[kept["resource"]] = (len(kept["devices"]), sum(map(bool, now.values())))
        return counted

    def allocate(self, uid: str, containers: list[Object]) -> dict[str, dict[str, str]]:
        """By container what its environment gets for the devices it asks for. AdmissionError.

        A resource that never was registered is taken for nothing, as a kubelet does.
        """
        plugins = [found for path in self._plugins.glob("*.json") if (found := _registration(path))]
        known = {json.loads(path.read_text())["resource"] for path in self._checkpoint.glob("*.json")}
        variables: dict[str, dict[str, str]] = {}
        for container in containers:
            limits = (container.get("resources") or {}).get("limits") or {}
            for resource in known & limits.keys():
                gone: dict[str, Any] = {"devices": {}}
                plugin = next((one for one in plugins if one["resource"] == resource), gone)
                taken = self._take(uid, resource, int(Fraction(str(limits[resource]))), plugin["devices"])
                if taken:
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
        self._held.setdefault(uid, {}).update(dict.fromkeys(free[:count], resource))
        return free[:count]


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
