"""How one HTTP call goes: which phase it is in, and the end of its connection when its time is over."""

from __future__ import annotations

import contextlib
import enum
import socket
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self


class Phase(enum.StrEnum):
    """As far as a call has come."""

    CONNECTING = "connecting"
    SECURING = "agreeing on TLS"
    SENDING = "sending the request"
    WAITING = "waiting for the answer"
    READING = "reading the answer"


_STEPS = {
    "connection.start_tls.started": Phase.SECURING,
    "http11.send_request_headers.started": Phase.SENDING,
    "http11.receive_response_headers.started": Phase.WAITING,
    "http11.receive_response_headers.complete": Phase.READING,
}
CONNECTED = ("connection.connect_tcp.complete", "connection.start_tls.complete")


class Course:
    """Use around one call on a connection of its own, with `trace` as httpx's extension of that name.

    httpx's timeouts hold for one read each, so that an answer which drips never meets them. When the call's seconds
    are over, its socket is shut down, which ends whatever read or write it is in; `over` tells so.
    """

    def __init__(self, seconds: float) -> None:
        self.phase = Phase.CONNECTING
        self.over = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._timer.join()

    def trace(self, step: str, info: Mapping[str, Any]) -> None:
        """Is told of every step that httpx makes."""
        self.phase = _STEPS.get(step, self.phase)
        if step in CONNECTED:
            with self._lock:
                self._socket = info["return_value"].get_extra_info("socket")
            if self.over:
                self._end()

    def _end(self) -> None:
        with self._lock:
            self.over = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
