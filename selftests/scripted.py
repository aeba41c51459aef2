"""Servers on loopback that say to each connection what a test wants, byte by byte."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

Say = bytes | Callable[["Spoken"], Iterable[bytes]]
"""The bytes of an answer, or a function from what was asked to the pieces of one; RESET or CLOSE ends it."""

RESET, CLOSE = b"<reset>", b"<close>"


class Spoken:
    """One request: its first line and headers as text, and its body; `over` is set when the server ends."""

    def __init__(self, head: str, body: bytes, over: threading.Event) -> None:
        self.head, self.body, self.over = head, body, over
        self.method, self.path, _ = head.split("\r\n")[0].split(" ", 2)

    def header(self, name: str) -> str:
        """A header's value, empty if it is not there."""
        lines = (line.partition(": ") for line in self.head.split("\r\n")[1:])
        return next((value for key, _, value in lines if key.lower() == name.lower()), "")


class Scripted:
    """Answers with `says` in turn, the last one for ever; `asked` holds the requests. Use as a context manager."""

    def __init__(self, *says: Say, tls: ssl.SSLContext | None = None) -> None:
        self._says, self._tls = list(says), tls
        self.asked: list[Spoken] = []
        self.over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        self.port = self._listener.getsockname()[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while not self.over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            self._threads.append(threading.Thread(target=self._serve, args=(connection,), daemon=True))
            self._threads[-1].start()

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), contextlib.ExitStack() as closing:
            connection = closing.enter_context(self._tls.wrap_socket(plain, server_side=True) if self._tls else plain)
            self._open.append(connection)
            while (spoken := self._hear(connection)) is not None:
                self.asked.append(spoken)
                say = self._says.pop(0) if len(self._says) > 1 else self._says[0]
                for piece in (say,) if isinstance(say, bytes) else say(spoken):
                    if piece == CLOSE:
                        return
                    if piece == RESET:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                        return
                    connection.sendall(piece)
                if spoken.header("connection").lower() != "keep-alive":
                    return

    def _hear(self, connection: socket.socket) -> Spoken | None:
        heard = b""
        while b"\r\n\r\n" not in heard:
            piece = connection.recv(65536)
            if not piece:
                return None
            heard += piece
            if heard.startswith(b"\x16"):  # a TLS client, at a server that speaks none
                return Spoken("? ? ?", b"", self.over)
        head, _, body = heard.partition(b"\r\n\r\n")
        spoken = Spoken(head.decode(), body, self.over)
        while len(body) < int(spoken.header("content-length") or 0):
            body += connection.recv(65536)
        spoken.body = body
        return spoken


def answer(status: int, body: str = "", kind: str = "application/json", **headers: str) -> bytes:
    """A whole HTTP answer; header names are written with underscores."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body.encode())}"]
    lines += [f"Content-Type: {kind}"] if kind else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()
