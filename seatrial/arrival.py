"""When the pieces of an answer came: what came in one read was not streamed, whatever it is cut into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seatrial.course import CONNECTED


@dataclass(frozen=True)
class Piece:
    """`seconds` after the request the number `read` of the reads from the connection was over, and had `data` in it."""

    data: bytes
    seconds: float
    read: int


class Reads:
    """Counts a call's reads from its connection, on which it must be alone; `trace` is httpx's extension of that name.

    httpx cuts an answer as the server has framed it: a proxy that holds a stream back until its end changes nothing in
    that. Clocks do not tell it apart either, on a machine that is busy.
    """

    def __init__(self) -> None:
        self.count = 0

    def trace(self, step: str, info: Mapping[str, Any]) -> None:
        """Is told of every step that httpx makes."""
        if step not in CONNECTED:
            return
        stream = info["return_value"]
        read = stream.read

        def counted(*arguments: Any, **keywords: Any) -> bytes:
            data: bytes = read(*arguments, **keywords)
            self.count += 1
            return data

        stream.read = counted
