"""kube-proxy: every Service's cluster IP leads to its ready endpoints."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.client import Client, Object
from sandbox.tasks import background

PRIVILEGED = 1024
SERVICE_NAME = "kubernetes.io/service-name"


@dataclass
class Port:
    """One port of a Service: `number` as the Service says, `real` where it is reached (0: not listened on yet)."""

    address: str
    number: int
    real: int = 0
    server: asyncio.Server | None = None
    endpoints: list[tuple[str, int]] = field(default_factory=list)
    turn: Iterator[int] = field(default_factory=itertools.count)
    open: set[asyncio.Task[None]] = field(default_factory=set)

    async def follow(self, endpoints: list[tuple[str, int]]) -> None:
        """Listen while there are endpoints; without any, a connection is refused."""
        self.endpoints = endpoints
        if not self.real:
            self.server = await self._listen()
            self.real = self.server.sockets[0].getsockname()[1]
        elif endpoints and self.server is None:
            self.server = await asyncio.start_server(self._accepted, self.address, self.real)
        if not endpoints:
            self.close()

    def close(self) -> None:
        """Accept no more; connections that are open go on."""
        if self.server is not None:
            self.server.close()
            self.server = None

    async def _listen(self) -> asyncio.Server:
        """On the Service's own port; an ordinary user cannot have one below 1024, and somebody may hold another."""
        if self.number >= PRIVILEGED:
            with contextlib.suppress(OSError):
                return await asyncio.start_server(self._accepted, self.address, self.number)
        return await asyncio.start_server(self._accepted, self.address, 0)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.open.add(task)
        try:
            await self._forward(reader, writer)
        except (OSError, ZeroDivisionError, asyncio.CancelledError):  # nobody there, no endpoint, the proxy stops
            _reset(writer)
        finally:
            self.open.discard(task)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self.endpoints[next(self.turn) % len(self.endpoints)]
        far_reader, far_writer = await asyncio.open_connection(host, port)
        try:
            async with asyncio.TaskGroup() as both_ways:
                both_ways.create_task(_pump(reader, far_writer))
                both_ways.create_task(_pump(far_reader, writer))
        except* OSError:
            _reset(writer)
            _reset(far_writer)
        finally:
            writer.close()
            far_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end, and hand the end on."""
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other side sees a reset, not an end."""
    with contextlib.suppress(OSError):
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class ServiceProxy:
    """Listens for every Service that has a cluster IP and writes ``services.json`` into `directory`:
    ``{"<namespace>/<service>": {"address": "127.7.200.3", "ports": {"80": 41234}}}``, from a Service's port to the one
    that is really listened on. The resolver inside pods reads it.
    """

    def __init__(self, client: Client, directory: Path) -> None:
        self._client, self._file = client, directory / "services.json"
        self._services: dict[str, Object] = {}
        self._slices: dict[str, Object] = {}
        self._ports: dict[str, dict[int, Port]] = {}
        self._lock = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Follow Services and EndpointSlices."""
        self._write()
        self._tasks = [background(self._follow_services()), background(self._follow_slices())]

    async def stop(self) -> None:
        """Close every listener and connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        ports = [port for ports in self._ports.values() for port in ports.values()]
        connections = [task for port in ports for task in port.open]
        for port in ports:
            port.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _follow_services(self) -> None:
        async for kind, service in self._client.watch("/api/v1/services"):
            key = _key(service["metadata"]["namespace"], service["metadata"]["name"])
            if kind == "DELETED" or service["spec"].get("clusterIP", "None") in ("", "None"):
                self._services.pop(key, None)
            else:
                self._services[key] = service
            await self._reconcile(key)

    async def _follow_slices(self) -> None:
        async for kind, endpoint_slice in self._client.watch("/apis/discovery.k8s.io/v1/endpointslices"):
            metadata = endpoint_slice["metadata"]
            key = _key(metadata["namespace"], metadata["name"])
            if kind == "DELETED":
                self._slices.pop(key, None)
            else:
                self._slices[key] = endpoint_slice
            if service := metadata.get("labels", {}).get(SERVICE_NAME):
                await self._reconcile(_key(metadata["namespace"], service))

    async def _reconcile(self, key: str) -> None:
        async with self._lock:
            service = self._services.get(key)
            wanted = {} if service is None else {port["port"]: port for port in service["spec"].get("ports") or ()}
            ports = self._ports.setdefault(key, {})
            for number in ports.keys() - wanted.keys():
                ports.pop(number).close()
            for number, spec in wanted.items():
                assert service is not None
                port = ports.setdefault(number, Port(service["spec"]["clusterIP"], number))
                await port.follow(self._endpoints(key, spec.get("name", "")))
            self._write()

    def _endpoints(self, key: str, name: str) -> list[tuple[str, int]]:
        """The ready endpoints of one port of a Service."""
        namespace, service = key.split("/")
        return [
            (endpoint["addresses"][0], port["port"])
            for each in self._slices.values()
            if each["metadata"]["namespace"] == namespace
            and each["metadata"].get("labels", {}).get(SERVICE_NAME) == service
            for port in each.get("ports") or ()
            if (port.get("name") or "") == name
            for endpoint in each.get("endpoints") or ()
            if endpoint.get("conditions", {}).get("ready") is not False
        ]

    def _write(self) -> None:
        table = {
            key: {
                "address": self._services[key]["spec"]["clusterIP"],
                "ports": {str(port.number): port.real for port in ports.values() if port.real},
            }
            for key, ports in self._ports.items()
            if key in self._services
        }
        text = json.dumps(table, indent=1, sort_keys=True)
        if not self._file.exists() or self._file.read_text() != text:
            draft = self._file.with_suffix(".new")
            draft.write_text(text)
            os.replace(draft, self._file)


def _key(namespace: str, name: str) -> str:
    return f"{namespace}/{name}"
