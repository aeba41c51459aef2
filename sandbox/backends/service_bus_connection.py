"""One AMQP connection to Service Bus: its sessions and links, what claims let it do, and when it is parted with."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.backends import amqp
from sandbox.backends.amqp import Described, Symbol, Ubyte, Uint, Ulong, Ushort

if TYPE_CHECKING:
    from sandbox.backends.service_bus import Queue, ServiceBus

CONTAINER = "sandbox"
FRAME, CHANNELS, WINDOW, MOST, CREDIT = 65536, 4999, 5000, 1 << 20, 1000
CLAIMS = "$cbs"
LOCK_LOST = "com.microsoft:message-lock-lost"


@dataclass
class Link:
    """`receives`: the client does. `credit`: what the one who receives still takes."""

    session: Session
    handle: int
    name: str
    receives: bool
    address: str
    credit: int = 0
    delivered: int = 0
    used: float = field(default_factory=time.monotonic)
    task: asyncio.Task[None] | None = None
    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    unsettled: dict[int, uuid.UUID] = field(default_factory=dict)


@dataclass
class Session:
    """Links by their handles, and what was handed out on them."""

    channel: int
    links: dict[int, Link] = field(default_factory=dict)
    sent: int = 0
    received: int = 0


class Connection:
    """``await Connection(...).run()`` returns when it is over."""

    def __init__(self, bus: ServiceBus, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._bus, self._reader, self._writer = bus, reader, writer
        self._sessions: dict[int, Session] = {}
        self._heard = self._linked = time.monotonic()
        self._known = self._closed = False

    def abort(self) -> None:
        """Break it."""
        self._writer.transport.abort()

    async def run(self) -> None:
        """Talk until either side closes."""
        self._bus.connections.add(self)
        watch = asyncio.create_task(self._watch())
        try:
            await self._greet()
            while not self._closed:
                await self._next()
        except (asyncio.IncompleteReadError, OSError):
            pass  # the client has gone
        except amqp.MalformedError as wrong:
            self._close("amqp:not-implemented", f"{wrong}")
        finally:
            watch.cancel()
            self._bus.connections.discard(self)
            for link in self._links():
                self._drop(link)
            with contextlib.suppress(OSError):
                self._writer.close()

    async def _greet(self) -> None:
        """Anybody may connect: who it is, is told by the claims."""
        if await self._reader.readexactly(8) == amqp.SASL_PROTOCOL:
            self._writer.write(amqp.SASL_PROTOCOL)
            mechanisms = (Symbol("ANONYMOUS"),)
            self._writer.write(amqp.frame(0, amqp.SASL_MECHANISMS, [mechanisms], kind=amqp.SASL_FRAME))
            await self._read()
            self._writer.write(amqp.frame(0, amqp.SASL_OUTCOME, [Ubyte(0)], kind=amqp.SASL_FRAME))
            await self._reader.readexactly(8)
        self._writer.write(amqp.AMQP_PROTOCOL)

    async def _read(self) -> tuple[int, bytes]:
        head = await self._reader.readexactly(8)
        rest = await self._reader.readexactly(int.from_bytes(head[:4]) - 8)
        return int.from_bytes(head[6:8]), rest[4 * head[4] - 8 :]

    async def _next(self) -> None:
        channel, body = await self._read()
        self._heard = time.monotonic()
        if not body:
            return  # a sign of life
        code, fields, payload = amqp.performative(body)
        session = self._sessions.get(channel)
        match code:
            case amqp.OPEN:
                idle = Uint(int(self._bus.idle.frames * 1000))
                self._say(0, amqp.OPEN, [CONTAINER, None, Uint(FRAME), Ushort(CHANNELS), idle])
            case amqp.BEGIN:
                self._sessions[channel] = Session(channel)
                self._say(channel, amqp.BEGIN, [Ushort(channel), Uint(0), Uint(WINDOW), Uint(WINDOW), Uint(255)])
            case amqp.CLOSE:
                self._close()
            case amqp.END if session:
                for link in list(session.links.values()):
                    self._drop(link)
                self._say(channel, amqp.END, [])
            case _ if session:
                _ON[code](self, session, fields, payload)
        await self._writer.drain()

    def _say(self, channel: int, code: int, fields: list[Any], payload: bytes = b"") -> None:
        if not self._writer.is_closing():
            self._writer.write(amqp.frame(channel, code, fields, payload))

    def _close(self, condition: str = "", description: str = "") -> None:
        if not self._closed:
            self._closed = True
            self._say(0, amqp.CLOSE, [amqp.error(condition, description) if condition else None])
            self._writer.close()

    def _links(self) -> list[Link]:
        return [link for session in self._sessions.values() for link in session.links.values()]

    # -- links ------------------------------------------------------------------------------------------------------

    def _attach(self, session: Session, fields: list[Any], payload: bytes) -> None:
        name, handle, receives, _, _, source, target = fields[:7]
        address = str([*(source if receives else target).value, None][0] or "").rpartition("/")[2]
        link = Link(session, handle, name, bool(receives), address)
        wrong = None
        if address != CLAIMS and not self._known:
            wrong = amqp.error("amqp:unauthorized-access", f"Unauthorized access to {address}: no claims.")
        elif address != CLAIMS and address not in self._bus.queues:
            text = f"The messaging entity 'sb://{self._bus.name}/{address}' could not be found."
            wrong = amqp.error("amqp:not-found", text)
        if wrong:
            self._say(session.channel, amqp.ATTACH, [name, Uint(handle), not receives])
            self._say(session.channel, amqp.DETACH, [Uint(handle), True, wrong])
            return
        session.links[handle] = link
        begin = [Uint(0) if receives else None, Ulong(MOST)]
        answer = [name, Uint(handle), not receives, fields[3], fields[4], source, target, None, None, *begin]
        self._say(session.channel, amqp.ATTACH, answer)
        if not receives:
            link.credit = CREDIT
            self._grant(link)
        elif address != CLAIMS:
            link.task = asyncio.create_task(self._deliver(link, self._bus.queues[address]))

    def _detach(self, session: Session, fields: list[Any], payload: bytes) -> None:
        if link := session.links.get(fields[0]):
            self._drop(link)
            self._say(session.channel, amqp.DETACH, [Uint(fields[0]), True])

    def _drop(self, link: Link) -> None:
        """What its receiver has not settled is somebody else's now."""
        link.session.links.pop(link.handle, None)
        if link.task is not None:
            link.task.cancel()
        if queue := self._bus.queues.get(link.address):
            for token in link.unsettled.values():
                queue.give_back(token)
        link.unsettled.clear()

    def _grant(self, link: Link) -> None:
        numbers = (link.session.received, WINDOW, link.session.sent, WINDOW, link.handle, link.delivered, link.credit)
        self._say(link.session.channel, amqp.FLOW, [Uint(one) for one in numbers])

    def _flow(self, session: Session, fields: list[Any], payload: bytes) -> None:
        link = session.links.get(fields[4])
        if link is None or not link.receives:
            return
        link.used = time.monotonic()
        link.credit = (fields[5] or 0) + (fields[6] or 0) - link.delivered
        if fields[8]:  # drain: the client waits no longer
            link.delivered += max(link.credit, 0)
            link.credit = 0
            self._grant(link)
        link.wanted.set()

    async def _deliver(self, link: Link, queue: Queue) -> None:
        while True:
            found = queue.take() if link.credit > 0 else None
            if found is not None:
                token, message = found
                link.unsettled[self._send(link, message.rendered(), token.bytes_le)] = token
                continue
            link.wanted.clear()
            queue.arrived.clear()
            waits = [asyncio.ensure_future(one.wait()) for one in (link.wanted, queue.arrived)]
            try:
                await asyncio.wait(waits, timeout=1, return_when=asyncio.FIRST_COMPLETED)  # locks end by themselves
            finally:
                for wait in waits:
                    wait.cancel()

    def _send(self, link: Link, message: bytes, tag: bytes, *, settled: bool = False) -> int:
        number = link.session.sent
        link.session.sent += 1
        link.delivered += 1
        link.credit -= 1
        fields = [Uint(link.handle), Uint(number), tag, Uint(0), settled, False]
        self._say(link.session.channel, amqp.TRANSFER, fields, message)
        return number

    def _transfer(self, session: Session, fields: list[Any], payload: bytes) -> None:
        if fields[5]:
            raise amqp.MalformedError("a message in several frames is not part of the sandbox")
        link = session.links.get(fields[0])
        if link is None:
            return  # detached a moment ago
        link.used = time.monotonic()
        session.received += 1
        link.delivered += 1
        link.credit -= 1
        if link.address == CLAIMS:
            self._claim(session, payload)
        elif queue := self._bus.queues.get(link.address):
            queue.put(payload)
        if not fields[4]:
            outcome = Described(amqp.ACCEPTED, [])
            self._say(session.channel, amqp.DISPOSITION, [True, Uint(fields[1]), Uint(fields[1]), True, outcome])
        if link.credit < CREDIT // 2:
            link.credit = CREDIT
            self._grant(link)

    def _disposition(self, session: Session, fields: list[Any], payload: bytes) -> None:
        """A receiver settles what it was handed; the outcome is told back."""
        if not fields[0]:
            return
        first, last = fields[1], fields[1] if fields[2] is None else fields[2]
        outcome = fields[4]
        for link in session.links.values():
            for number in [one for one in link.unsettled if first <= one <= last]:
                link.used = time.monotonic()
                token, queue = link.unsettled.pop(number), self._bus.queues.get(link.address)
                if queue is None:
                    continue
                if outcome is None or outcome.code == amqp.ACCEPTED:
                    queue.locked.pop(token, None)
                else:
                    queue.give_back(token)
        if not fields[3]:
            told = outcome and Described(outcome.code, [])
            self._say(session.channel, amqp.DISPOSITION, [False, Uint(first), Uint(last), True, told])

    def _claim(self, session: Session, message: bytes) -> None:
        """A token for this connection, answered on the link that the client opened for that."""
        said = {code: value for code, value, _ in amqp.sections(message)}
        self._known = self._bus.knows(str(said[amqp.VALUE]))
        answer: dict[str, Any] = {"status-code": 202, "status-description": "Accepted"}
        if not self._known:
            answer = {
                "status-code": 401,
                "status-description": "InvalidSignature: The token has an invalid signature.",
                "error-condition": Symbol("amqp:unauthorized-access"),
            }
        properties = [None, None, None, None, None, said[amqp.PROPERTIES][0]]
        body = amqp.encode(Described(amqp.PROPERTIES, properties))
        body += amqp.encode(Described(amqp.APPLICATION_PROPERTIES, answer)) + amqp.encode(Described(amqp.VALUE, None))
        for link in session.links.values():
            if link.receives and link.address == CLAIMS:
                self._send(link, body, uuid.uuid4().bytes, settled=True)

    # -- parting ----------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """The three ways in which the service parts with who does nothing; signs of life help against the first."""
        idle = self._bus.idle
        while not self._closed:
            await asyncio.sleep(min(idle.frames, idle.links, idle.link) / 20)
            now = time.monotonic()
            if now - self._heard > idle.frames:
                self._close(
                    "amqp:connection:forced",
                    f"The connection was inactive for more than the allowed {idle.frames * 1000:.0f} milliseconds and "
                    "is closed by container 'LinkTracker'.",
                )
            links = [link for link in self._links() if link.address != CLAIMS]
            for link in [one for one in links if now - one.used > idle.link]:
                self._drop(link)
                text = (
                    f"The link '{link.name}' is force detached. Details: IdleTimerExpired: Idle timeout: {idle.link} s."
                )
                wrong = amqp.error("amqp:link:detach-forced", text)
                self._say(link.session.channel, amqp.DETACH, [Uint(link.handle), True, wrong])
            if links:
                self._linked = now
            elif now - self._linked > idle.links:
                self._close(
                    "amqp:connection:forced",
                    f"The connection was closed by container '{CONTAINER}' because it did not have any active links in "
                    f"the past {idle.links * 1000:.0f} milliseconds.",
                )


_ON = {
    amqp.ATTACH: Connection._attach,
    amqp.FLOW: Connection._flow,
    amqp.TRANSFER: Connection._transfer,
    amqp.DISPOSITION: Connection._disposition,
    amqp.DETACH: Connection._detach,
}
