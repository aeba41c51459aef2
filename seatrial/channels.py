"""Kubernetes' channels over a WebSocket (``v4.channel.k8s.io``): each binary message begins with its channel's number.

The connection is the one HTTP client's own (a 101 answer), so that authority, proxy, credentials and errors are those
of every other call. The official client's port-forward ends in a traceback of its thread when the API server goes away,
has no timeout, and takes the environment's proxy even to loopback.
"""

from __future__ import annotations

import os
import struct
from typing import Any

import httpcore
import httpx

from seatrial.closing import Closing

PROTOCOL = "v4.channel.k8s.io"

_CONTINUED, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_FINAL, _MASKED = 0x80, 0x80
_CHUNK = 1 << 16


class Channels(Closing):
    """The messages of one connection. Not for two threads at once: TLS is not."""

    def __init__(self, response: httpx.Response, timeout: float) -> None:
        """`response` as `Kube.stream` gives it; `timeout` in seconds for one read or write."""
        self._response, self._timeout = response, timeout
        self._stream: Any = response.extensions["network_stream"]
        self._socket: Any = self._stream.get_extra_info("socket")
        self._received = bytearray()
        self._parts = bytearray()
        self.ended = False

    def close(self) -> None:
        """End the connection."""
        self._response.close()

    def fileno(self) -> int:
        """For `select.poll`; once it is readable, `receive` until it gives nothing more."""
        return int(self._socket.fileno())

    def send(self, channel: int, data: bytes) -> None:
        """One message; ConnectionError when the connection is broken."""
        self._write(_BINARY, bytes((channel,)) + data)

    def receive(self) -> list[tuple[int, bytes]]:
        """The messages that have arrived whole: (channel, data). Waits for a first byte.

        Sets `ended` when the other side has closed; ConnectionError when it broke.
        """
        messages = []
        pending = True
        while pending:
            try:
                read = self._stream.read(_CHUNK, self._timeout)
            except (httpcore.NetworkError, httpcore.TimeoutException) as error:
                raise ConnectionError(str(error)) from error
            self.ended = not read
            self._received += read
            pending = bool(getattr(self._socket, "pending", int)())  # decrypted already, so no poll tells of it
        while (frame := self._frame()) is not None:
            opcode, payload, final = frame
            if opcode == _CLOSE:
                self.ended = True
            elif opcode == _PING:
                self._write(_PONG, payload)
            elif opcode in (_CONTINUED, _TEXT, _BINARY):
                self._parts += payload
                if final and self._parts:
                    messages.append((self._parts[0], bytes(self._parts[1:])))
                    self._parts.clear()
        return messages

    def _frame(self) -> tuple[int, bytes, bool] | None:
        """The next whole frame of what was received: (opcode, payload, whether its message ends)."""
        received, start = self._received, 2
        if len(received) < start:
            return None
        size = received[1] & ~_MASKED
        if size > 125:
            layout = {126: ">H", 127: ">Q"}[size]
            start += struct.calcsize(layout)
            if len(received) < start:
                return None
            (size,) = struct.unpack_from(layout, received, 2)
        if len(received) < start + size:
            return None
        opcode, final = received[0] & 0x0F, bool(received[0] & _FINAL)
        payload = bytes(received[start : start + size])
        del received[: start + size]
        return opcode, payload, final

    def _write(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        if size < 126:
            head = struct.pack(">BB", _FINAL | opcode, _MASKED | size)
        else:
            head = struct.pack(">BBQ", _FINAL | opcode, _MASKED | 127, size)
        key = os.urandom(4)
        long_key = int.from_bytes((key * (size // 4 + 1))[:size])
        masked = (int.from_bytes(payload) ^ long_key).to_bytes(size)
        try:
            self._stream.write(head + key + masked, self._timeout)
        except (httpcore.NetworkError, httpcore.TimeoutException) as error:
            raise ConnectionError(str(error)) from error
