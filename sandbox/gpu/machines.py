"""The machines behind GPU nodes: a folder for each, and a kubelet while the machine is on."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from sandbox.client import ApiError, Client
from sandbox.gpu.table import GpuNode
from sandbox.tasks import background

FOLDER = "machines"
WELL = ("driver", "runtime")  # see programs/machine.py
OFF, SILENT = "off", "silent"
SECONDS = 0.25  # between two looks, of real time


class Kubelet(Protocol):
    """What runs a machine's pods."""

    async def start(self) -> None:
        """Register the Node."""

    async def stop(self) -> None:
        """End what it has started; the Node stays."""


class Machines:
    """Folders below ``machines/`` in the sandbox's directory. Who writes ``off`` into one takes the machine away, and
    with it the Node and its pods; with ``silent`` the kubelet alone is gone."""

    def __init__(
        self, admin: Client, nodes: list[GpuNode], directory: Path, kubelet: Callable[[GpuNode, Path], Kubelet]
    ) -> None:
        """`kubelet`: a new one for a node and the folder of its machine."""
        self._admin, self._kubelet = admin, kubelet
        self._folders = {node.name: directory / FOLDER / node.name for node in nodes}
        self._nodes = {node.name: node for node in nodes}
        self._on: dict[str, Kubelet] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns once each has a Node."""
        for name, folder in self._folders.items():
            folder.mkdir(parents=True)
            (folder / "machine.json").write_text(json.dumps(self._nodes[name].machine, indent=1))
            for sign in WELL:
                (folder / sign).touch()
            await self._follow(name, folder)
        if self._folders:
            self._task = background(self._watch())

    async def stop(self) -> None:
        """End every kubelet and what it runs."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*(kubelet.stop() for kubelet in self._on.values()))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(SECONDS)
            for name, folder in self._folders.items():
                await self._follow(name, folder)

    async def _follow(self, name: str, folder: Path) -> None:
        off = (folder / OFF).exists()
        wanted = not off and not (folder / SILENT).exists()
        if wanted and name not in self._on:
            self._on[name] = self._kubelet(self._nodes[name], folder)
            await self._on[name].start()
        elif not wanted and name in self._on:
            await self._on.pop(name).stop()
            if off:
                await self._forget(name)

    async def _forget(self, name: str) -> None:
        """What the cloud's controller and the pods' garbage collector do about a machine that is no more."""
        await self._admin.delete(f"/api/v1/nodes/{name}")
        for pod in await self._admin.list("/api/v1/pods", fieldSelector=f"spec.nodeName={name}"):
            meta = pod["metadata"]
            with contextlib.suppress(ApiError):
                path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
                await self._admin.delete(path, gracePeriodSeconds=0)
