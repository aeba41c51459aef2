"""A reverse proxy on loopback between the suite and a sandbox's API server (or gateway), which misbehaves on order."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import trustme
import yaml
from scripted import Spoken, answer

_CHUNK = 65536


@dataclass
class Exchange:
    """One request with the connection that it came on; `act` decides what becomes of it."""

    spoken: Spoken
    client: socket.socket
    proxy: KubeProxy

    def pass_on(self, *, replaced: dict[str, str] | None = None, cut_after: int | None = None) -> None:
        """Let the server answer; after so many bytes of the whole answer the connection breaks."""
        with self.proxy.upstream() as server:
            server.sendall(_head(self.spoken, replaced or {}) + self.spoken.body)
            self.pump(server, cut_after)

    def say(self, data: bytes) -> None:
        """Answer in the server's place."""
        self.client.sendall(data)

    def pump(self, server: socket.socket, left: int | None = None) -> None:
        """Bytes both ways until one side closes, or so many have come `left` from the server."""
        poll = select.poll()
        poll.register(self.client, select.POLLIN)
        poll.register(server, select.POLLIN)
        other = {self.client.fileno(): (self.client, server), server.fileno(): (server, self.client)}
        while not self.proxy.over.is_set():
            ready = [fileno for fileno, _ in poll.poll(200)]
            for fileno in ready:
                source, sink = other[fileno]
                data = source.recv(_CHUNK)
                while isinstance(source, ssl.SSLSocket) and source.pending():
                    data += source.recv(_CHUNK)
                if source is server and left is not None:
                    data, left = data[:left], left - len(data)
                if data:
                    sink.sendall(data)
                if not data or (left is not None and left <= 0):
                    return


Act = Callable[[Exchange], None]


def said(code: int, reason: str, message: str, **headers: str) -> Act:
    """A Status as the API server writes it."""
    body = json.dumps({"kind": "Status", "apiVersion": "v1", "code": code, "reason": reason, "message": message})
    data = answer(code, body, **headers)
    return lambda exchange: exchange.say(data)


def cut(after: int) -> Act:
    """The answer breaks off after so many bytes, its head included."""
    return lambda exchange: exchange.pass_on(cut_after=after)


def tunnel(exchange: Exchange) -> None:
    """What an HTTP proxy does on CONNECT, wherever the client wants to go: it leads to the server."""
    with exchange.proxy.upstream() as server:
        exchange.say(b"HTTP/1.1 200 Connection established\r\n\r\n")
        exchange.pump(server)


def hang(exchange: Exchange) -> None:
    """No answer, until the proxy ends."""
    exchange.proxy.over.wait(60)


def closed(exchange: Exchange) -> None:
    """The connection is closed without an answer."""


@dataclass
class Rule:
    """What becomes of the requests whose ``METHOD /path?query`` matches; `times`: how often, None for ever."""

    matches: re.Pattern[str]
    act: Act
    times: int | None = None
    hits: int = 0


class KubeProxy:
    """Use as a context manager; `url` stays the same while the server is `gone`."""

    def __init__(self, upstream: str) -> None:
        self._to = urlsplit(upstream)
        self.over = threading.Event()
        self.asked: list[str] = []
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        authority = trustme.CA()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(self._tls)
        self.ca_pem = authority.cert_pem.bytes()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"{self._to.scheme}://127.0.0.1:{self.port}"
        self._serve(self._listener)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        self._break()

    def on(self, pattern: str, act: Act, times: int | None = None) -> Rule:
        """From now on; of several rules that match the newest holds."""
        rule = Rule(re.compile(pattern), act, times)
        with self._lock:
            self._rules.insert(0, rule)
        return rule

    def off(self, *rules: Rule) -> None:
        """Those rules hold no longer."""
        with self._lock:
            self._rules = [one for one in self._rules if one not in rules]

    @contextmanager
    def gone(self) -> Iterator[None]:
        """Nobody listens, and every connection is broken."""
        self._break()
        try:
            yield
        finally:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self._serve(self._listener)

    def kubeconfig(self, original: Path | str, path: Path, **user: Any) -> str:
        """A kubeconfig like the `original` that leads through here, written to `path`; `user` replaces its user's."""
        config = yaml.safe_load(Path(original).read_text())
        for one in config["clusters"]:
            one["cluster"] = {"server": self.url, "certificate-authority-data": _base64(self.ca_pem)}
        for one in config["users"]:
            one["user"] = user or one["user"]
        path.write_text(yaml.safe_dump(config))
        return str(path)

    @contextmanager
    def upstream(self) -> Iterator[socket.socket]:
        """A connection to the server."""
        host, port = self._to.hostname or "", self._to.port or 443
        with socket.create_connection((host, port), 10) as plain, contextlib.ExitStack() as stack:
            server: socket.socket = plain
            if self._to.scheme == "https":
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                server = stack.enter_context(context.wrap_socket(plain))
            server.settimeout(None)
            yield server

    def _break(self) -> None:
        with self._lock:
            connections = [self._listener, *self._open]
        for one in connections:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            if one is self._listener:
                one.close()

    def _serve(self, listener: socket.socket) -> None:
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), contextlib.ExitStack() as stack:
            stack.enter_context(plain)
            connection: socket.socket = plain
            if self._to.scheme == "https":
                connection = stack.enter_context(self._tls.wrap_socket(plain, server_side=True))
            with self._lock:
                self._open.add(connection)
            stack.callback(self._open.discard, connection)
            if (spoken := _heard(connection, self.over)) is not None:
                self._decide(spoken)(Exchange(spoken, connection, self))

    def _decide(self, spoken: Spoken) -> Act:
        asked = f"{spoken.method} {spoken.path}"
        with self._lock:
            self.asked.append(asked)
            for rule in self._rules:
                if rule.matches.search(asked) and (rule.times is None or rule.hits < rule.times):
                    rule.hits += 1
                    return rule.act
        return lambda exchange: exchange.pass_on()


def _head(spoken: Spoken, replaced: dict[str, str]) -> bytes:
    """The request's head, for a connection that ends with its answer, unless it asks for another protocol."""
    first, *lines = spoken.head.split("\r\n")
    upgrades = bool(spoken.header("upgrade"))
    gone = {name.lower() for name in replaced} | (set() if upgrades else {"connection"})
    kept = [line for line in lines if line.partition(":")[0].lower() not in gone]
    kept += [f"{name}: {value}" for name, value in replaced.items()] + ([] if upgrades else ["Connection: close"])
    return ("\r\n".join([first, *kept]) + "\r\n\r\n").encode()


def _heard(connection: socket.socket, over: threading.Event) -> Spoken | None:
    heard = b""
    while b"\r\n\r\n" not in heard:
        piece = connection.recv(_CHUNK)
        if not piece:
            return None
        heard += piece
    head, _, body = heard.partition(b"\r\n\r\n")
    spoken = Spoken(head.decode(), body, over)
    while len(body) < int(spoken.header("content-length") or 0):
        body += connection.recv(_CHUNK)
    spoken.body = body
    return spoken


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
