"""Port-forward to ``status.podIP:port``, over WebSocket: the official client's channels, or kubectl's SPDY in it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from aiohttp import web

from sandbox.kube.cluster import Cluster
from sandbox.kube.errors import bad_request
from sandbox.kube.objects import Object, get
from sandbox.kube.request_info import RequestInfo
from sandbox.kube.spdy import Kind, Session

CHANNELS, TUNNEL = "v4.channel.k8s.io", "SPDY/3.1+portforward.k8s.io"
CHUNK = 65536

Send = Callable[[bytes], Awaitable[None]]


async def handle(request: web.Request, cluster: Cluster, info: RequestInfo) -> web.StreamResponse:
    """Answer ``pods/portforward`` until the client leaves."""
    pod = cluster.find(info.resource, info.namespace, info.name)
    offered = request.headers.get("Sec-WebSocket-Protocol", "")
    if TUNNEL in offered:
        return await _tunnel(request, pod)
    if CHANNELS in offered:
        return await _channels(request, pod)
    raise bad_request(f"Upgrade request required: port-forward is served over WebSocket ({CHANNELS} or {TUNNEL})")


async def _connect(pod: Object, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the pod; OSError with the text that goes to the client's error stream."""
    address = get(pod, "status.podIP")
    try:
        if not address:
            raise ConnectionRefusedError
        return await asyncio.open_connection(address, port)
    except OSError as error:
        raise OSError(
            f"error forwarding port {port} to pod {pod['metadata']['uid']}, uid : failed to connect to "
            f"localhost:{port} inside namespace: dial tcp4 127.0.0.1:{port}: connect: connection refused"
        ) from error


async def _pump(reader: asyncio.StreamReader, send: Send) -> None:
    """Everything the pod sends, until it closes."""
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(CHUNK):
            await send(chunk)


class _Connections:
    """The open connections of one port-forward, by the client's stream or channel; closed together at the end."""

    def __init__(self) -> None:
        self.writers: dict[int, asyncio.StreamWriter] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, pump: Awaitable[None]) -> None:
        async def run() -> None:
            with contextlib.suppress(ConnectionError):
                await pump

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def write(self, key: int, data: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            self.writers[key].write(data)
            await self.writers[key].drain()

    def close(self) -> None:
        for writer in self.writers.values():
            writer.close()
        for task in self._tasks:
            task.cancel()


async def _channels(request: web.Request, pod: Object) -> web.WebSocketResponse:
    """One data and one error channel per port; every message starts with its channel's number."""
    ports = [int(port) for value in request.query.getall("ports", []) for port in value.split(",")]
    socket = web.WebSocketResponse(protocols=(CHANNELS,))
    await socket.prepare(request)
    connections = _Connections()
    try:
        for index, port in enumerate(ports):
            # The first message of each channel repeats the port.
            for channel in (2 * index, 2 * index + 1):
                await socket.send_bytes(bytes([channel]) + port.to_bytes(2, "little"))
            await _open_channel(socket, pod, index, port, connections)
        async for message in socket:
            if message.data[0] in connections.writers:
                await connections.write(message.data[0], message.data[1:])
    finally:
        connections.close()
    return socket


async def _open_channel(
    socket: web.WebSocketResponse, pod: Object, index: int, port: int, connections: _Connections
) -> None:
    data, error = bytes([2 * index]), bytes([2 * index + 1])
    try:
        reader, writer = await _connect(pod, port)
    except OSError as refused:
        await socket.send_bytes(error + str(refused).encode())
        return
    connections.writers[2 * index] = writer

    async def pump() -> None:
        await _pump(reader, lambda chunk: socket.send_bytes(data + chunk))
        # A channel cannot be closed alone: the whole port-forward ends with its connection.
        await socket.close()

    connections.start(pump())


async def _tunnel(request: web.Request, pod: Object) -> web.WebSocketResponse:
    """SPDY/3.1 frames in binary messages; each connection is a pair of streams, one for errors and one for data."""
    socket = web.WebSocketResponse(protocols=(TUNNEL,))
    await socket.prepare(request)
    session = Session(socket.send_bytes)
    connections = _Connections()
    error_streams: dict[str, int] = {}
    try:
        async for message in socket:
            for frame in session.receive(message.data):
                if frame.kind is Kind.PING:
                    await session.pong(frame.payload)
                elif frame.kind is Kind.SYN_STREAM:
                    await session.reply(frame.stream)
                    if frame.headers.get("streamtype") == "error":
                        error_streams[frame.headers["requestid"]] = frame.stream
                    else:
                        error_stream = error_streams[frame.headers["requestid"]]
                        port = int(frame.headers["port"])
                        await _open_stream(session, pod, frame.stream, error_stream, port, connections)
                elif frame.stream in connections.writers:
                    await _stream_data(frame.stream, frame.payload, frame.final, connections)
    finally:
        connections.close()
    return socket


async def _open_stream(
    session: Session, pod: Object, stream: int, error_stream: int, port: int, connections: _Connections
) -> None:
    try:
        reader, writer = await _connect(pod, port)
    except OSError as refused:
        await session.data(error_stream, str(refused).encode(), final=True)
        await session.data(stream, b"", final=True)
        return
    connections.writers[stream] = writer

    async def pump() -> None:
        await _pump(reader, lambda chunk: session.data(stream, chunk))
        await session.data(stream, b"", final=True)
        await session.data(error_stream, b"", final=True)

    connections.start(pump())


async def _stream_data(stream: int, data: bytes, final: bool, connections: _Connections) -> None:
    if data:
        await connections.write(stream, data)
    if final:
        with contextlib.suppress(OSError):
            connections.writers[stream].write_eof()
