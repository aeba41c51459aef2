"""What the operators' controllers say in the status of their custom resource, from the DaemonSets of their operands.

NVIDIA's says that it is ready where no node has a GPU, and AMD's where no operand runs: as the real ones do.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

from sandbox.client import Client
from sandbox.gpu.operators.manifests import Object, row
from sandbox.install import NotAvailableError
from sandbox.tasks import background

DISCOVERED = "feature.node.kubernetes.io/"
NVIDIA = ("pci-10de.present", "pci-0302_10de.present", "pci-0300_10de.present")
READY = {
    "Reconciled": "ClusterPolicy is ready as all resources have been successfully reconciled",
    "NoGPUNodes": "No GPU node found, watching for new nodes to join the cluster.",
}


class Controller:
    """Writes the status from `start` to `stop`."""

    def __init__(self, client: Client, vendor: str) -> None:
        self._client, self._vendor, self._row = client, vendor, row(vendor)
        self._sets: dict[str, Object] = {}
        self._nodes: dict[str, Object] = {}
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Follow DaemonSets and nodes."""
        sets = f"/apis/apps/v1/namespaces/{self._row['namespace']}/daemonsets"
        self._tasks = [
            background(self._follow(sets, self._sets)),
            background(self._follow("/api/v1/nodes", self._nodes)),
            background(self._write()),
        ]

    async def stop(self) -> None:
        """End the watches."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def ready(self, seconds: float) -> None:
        """Return once every operand runs on each GPU node and the GPUs are allocatable. NotAvailableError."""
        deadline = time.monotonic() + seconds
        while self._short() or not self._wanted() or not self._allocatable():
            if time.monotonic() > deadline:
                raise NotAvailableError(
                    f"operands of {self._row['operator']} are not ready: {', '.join(self._short())}"
                )
            await asyncio.sleep(0.05)

    async def _follow(self, path: str, found: dict[str, Object]) -> None:
        async for kind, obj in self._client.watch(path):
            found[obj["metadata"]["name"]] = obj
            if kind == "DELETED":
                del found[obj["metadata"]["name"]]
            self._changed.set()

    async def _write(self) -> None:
        said: Object = {}
        while True:
            await self._changed.wait()
            self._changed.clear()
            status = nvidia(self._short_states(), self._nodes) if self._vendor == "nvidia" else self._amd()
            if _without_times(status) != _without_times(said):
                await self._client.patch(f"{self._row['custom_resource']['path']}/status", {"status": status})
                said = status

    def _operands(self) -> list[tuple[Object, Object]]:
        """Of each that is there its row and the status of its DaemonSet."""
        rows = {one["name"]: one for one in self._row["operands"]}
        return [(rows[name], found.get("status", {})) for name, found in self._sets.items() if name in rows]

    def _short(self) -> list[str]:
        return [one["name"] for one, status in self._operands() if _ready(status) < _desired(status)]

    def _short_states(self) -> list[str]:
        return [one["state"] for one, status in self._operands() if _ready(status) < _desired(status)]

    def _wanted(self) -> int:
        return max((_desired(status) for _, status in self._operands()), default=0)

    def _allocatable(self) -> bool:
        found = [node["status"].get("allocatable", {}) for node in self._nodes.values()]
        return sum("nvidia.com/gpu" in one or "amd.com/gpu" in one for one in found) >= self._wanted()

    def _amd(self) -> Object:
        """The numbers of the DaemonSets, which alone tell; the condition says that the object was understood."""
        numbers = {
            one["status"]: {
                "nodesMatchingSelectorNumber": _desired(status),
                "desiredNumber": _desired(status),
                "availableNumber": _ready(status),
            }
            for one, status in self._operands()
            if "status" in one
        }
        return {"observedGeneration": 1, "conditions": [_condition("Ready", "True", "OperatorReady", "")], **numbers}


def nvidia(short: list[str], nodes: dict[str, Object]) -> Object:
    """The status of a ClusterPolicy, where the DaemonSets of the states `short` are not ready."""
    labels = [label for node in nodes.values() for label in node["metadata"].get("labels", {})]
    if short:
        text = f"ClusterPolicy is not ready, states not ready: [{' '.join(short)}]"
        conditions = [
            _condition("Ready", "False", "Error", ""),
            _condition("Error", "True", "OperandNotReady", text),
        ]
        return {"namespace": "gpu-operator", "state": "notReady", "conditions": conditions}
    reason = "Reconciled" if any(f"{DISCOVERED}{name}" in labels for name in NVIDIA) else "NoGPUNodes"
    conditions = [
        _condition("Ready", "True", reason, READY[reason]),
        _condition("Error", "False", "Ready", ""),
    ]
    return {"namespace": "gpu-operator", "state": "ready", "conditions": conditions}


def _condition(kind: str, status: str, reason: str, message: str) -> Object:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": now}


def _without_times(status: Object) -> Object:
    conditions = [{**one, "lastTransitionTime": ""} for one in status.get("conditions", [])]
    return {**status, "conditions": conditions}


def _desired(status: Object) -> int:
    return int(status.get("desiredNumberScheduled", 0))


def _ready(status: Object) -> int:
    return int(status.get("numberReady", 0))
