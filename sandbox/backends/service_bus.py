"""Azure Service Bus, in memory: queues with locks, AMQP 1.0 over TLS for messages, ATOM over HTTPS for the queues.

What the real one does to idle connections it does here, on the sandbox's clock: see `Idle`.
"""

from __future__ import annotations

import asyncio
import ssl
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from xml.etree import ElementTree

from aiohttp import web

from sandbox import clock
from sandbox.backends import amqp
from sandbox.backends.ports import free_port
from sandbox.backends.service_bus_connection import Connection

LOCK = 60.0  # seconds that a message is its receiver's, of a queue that says nothing else
ATOM, SERVICE_BUS = "http://www.w3.org/2005/Atom", "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"
COUNTS = "http://schemas.microsoft.com/netservices/2011/06/servicebus"


@dataclass(frozen=True)
class Idle:
    """Seconds after which the service parts with who does nothing: see the errors in `service_bus_connection`."""

    frames: float = 240.0
    links: float = 300.0
    link: float = 600.0

    @classmethod
    def scaled(cls) -> Idle:
        """By the sandbox's clock."""
        whole = cls()
        return cls(*(clock.scaled(one) for one in (whole.frames, whole.links, whole.link)))


@dataclass
class Message:
    """`body`: the sections that the sender made. Locked until `locked_until` (epoch seconds) while somebody has it."""

    body: bytes
    number: int
    enqueued: float = field(default_factory=time.time)
    deliveries: int = 0
    locked_until: float = 0.0

    def rendered(self) -> bytes:
        """As it is handed out: with the header and annotations that the service adds."""
        annotations = {
            amqp.Symbol("x-opt-enqueued-time"): amqp.Timestamp(int(self.enqueued * 1000)),
            amqp.Symbol("x-opt-sequence-number"): self.number,
            amqp.Symbol("x-opt-locked-until"): amqp.Timestamp(int(self.locked_until * 1000)),
        }
        header = amqp.Described(amqp.HEADER, [None, None, None, None, amqp.Uint(self.deliveries)])
        return amqp.encode(header) + amqp.encode(amqp.Described(amqp.ANNOTATIONS, annotations)) + self.body


@dataclass
class Queue:
    """Messages wait in `ready`, oldest first; `locked` are those that somebody has, by lock token."""

    name: str
    ready: list[Message] = field(default_factory=list)
    locked: dict[uuid.UUID, Message] = field(default_factory=dict)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    sent: int = 0

    def put(self, message: bytes) -> None:
        """One more, without what only the sender's connection was told."""
        own = (amqp.HEADER, amqp.DELIVERY_ANNOTATIONS, amqp.ANNOTATIONS)
        self.sent += 1
        self.ready.append(
            Message(b"".join(raw for code, _, raw in amqp.sections(message) if code not in own), self.sent)
        )
        self.arrived.set()

    def take(self) -> tuple[uuid.UUID, Message] | None:
        """The oldest, locked; None if none waits."""
        for token in [token for token, one in self.locked.items() if one.locked_until < time.time()]:
            self.give_back(token)
        if not self.ready:
            return None
        token, message = uuid.uuid4(), self.ready.pop(0)
        message.locked_until = time.time() + LOCK
        self.locked[token] = message
        return token, message

    def give_back(self, token: uuid.UUID) -> None:
        """Whoever had it has not done it."""
        if message := self.locked.pop(token, None):
            message.deliveries += 1
            self.ready.insert(0, message)
            self.arrived.set()

    def described(self) -> ElementTree.Element:
        """Its entry of the management API."""
        entry = ElementTree.Element(f"{{{ATOM}}}entry")
        ElementTree.SubElement(entry, f"{{{ATOM}}}title").text = self.name
        content = ElementTree.SubElement(entry, f"{{{ATOM}}}content", type="application/xml")
        description = ElementTree.SubElement(content, f"{{{SERVICE_BUS}}}QueueDescription")
        total = len(self.ready) + len(self.locked)
        details = ElementTree.Element(f"{{{SERVICE_BUS}}}CountDetails")
        # A message counts as active until it is settled, locked or not.
        ElementTree.SubElement(details, f"{{{COUNTS}}}ActiveMessageCount").text = str(total)
        ElementTree.SubElement(description, f"{{{SERVICE_BUS}}}MessageCount").text = str(total)
        description.append(details)
        return entry


class ServiceBus:
    """``await ServiceBus(host, tls, knows).start()``, then `amqp_port` and `https_port`.

    `knows` says whether a token or a signature is one that lets in.
    """

    def __init__(self, host: str, name: str, tls: ssl.SSLContext, knows: Callable[[str], bool], idle: Idle) -> None:
        self.host, self.name, self.knows, self.idle = host, name, knows, idle
        self.queues: dict[str, Queue] = {}
        self.connections: set[Connection] = set()
        self.amqp_port = self.https_port = 0
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen on free ports."""
        self.amqp_port, self.https_port = free_port(self.host), free_port(self.host)
        await self.resume()

    async def resume(self) -> None:
        """Serve at the same ports, with the queues that there were."""
        self._server = await asyncio.start_server(self._accepted, self.host, self.amqp_port, ssl=self._tls)
        app = web.Application()
        app.router.add_get("/$Resources/queues", self._list)
        app.router.add_route("*", "/{queue}", self._manage)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host, self.https_port, ssl_context=self._tls).start()

    async def pause(self) -> None:
        """Refuse connections; those that there are break."""
        if self._server is not None:
            self._server.close()
        for one in list(self.connections):
            one.abort()
        if self._runner is not None:
            await self._runner.cleanup()

    async def stop(self) -> None:
        """Close; the messages are gone."""
        await self.pause()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Connection(self, reader, writer).run()

    async def _manage(self, request: web.Request) -> web.Response:
        """Create, read or delete a queue."""
        if refusal := self._refused(request):
            return refusal
        name = request.match_info["queue"]
        match request.method:
            case "PUT" if name in self.queues:
                return _problem(409, "SubCode=40900. Conflict.")
            case "PUT":
                self.queues[name] = Queue(name)
                return _atom(self.queues[name].described(), 201)
            case _ if name not in self.queues:
                return _problem(404, f"SubCode=40400. Not Found. The Operation doesn't exist: {self.name}:{name}")
            case "GET":
                return _atom(self.queues[name].described())
            case "DELETE":
                del self.queues[name]
                return web.Response()
            case _:
                return _problem(501, f"{request.method} of a queue is not part of the sandbox")

    async def _list(self, request: web.Request) -> web.Response:
        if refusal := self._refused(request):
            return refusal
        skip, top = (int(request.query.get(name, default)) for name, default in (("$skip", "0"), ("$top", "100")))
        feed = ElementTree.Element(f"{{{ATOM}}}feed")
        feed.extend(self.queues[name].described() for name in sorted(self.queues)[skip : skip + top])
        return _atom(feed)

    def _refused(self, request: web.Request) -> web.Response | None:
        if self.knows(request.headers.get("Authorization", "").removeprefix("Bearer ")):
            return None
        return _problem(401, "MalformedToken: The credentials contained in the authorization header are malformed.")


def _atom(element: ElementTree.Element, status: int = 200) -> web.Response:
    return web.Response(status=status, body=ElementTree.tostring(element), content_type="application/atom+xml")


def _problem(status: int, detail: str) -> web.Response:
    body = f"<Error><Code>{status}</Code><Detail>{detail}</Detail></Error>"
    return web.Response(status=status, text=body, content_type="application/xml")
