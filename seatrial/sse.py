"""Server-sent events out of bytes: lines end with CR LF, CR or LF alone, wherever the pieces are cut."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Event:
    """One event: its `name` (``message`` unless the server gave one) and its `data`, several lines joined by LF."""

    data: str
    name: str = "message"


def events(pieces: Iterable[bytes]) -> Iterator[Event]:
    """The events of a stream, each as soon as it is complete; comments, and an event that is cut off, are none."""
    name = ""
    data: list[bytes] = []
    for line in _lines(pieces):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if line == b"":
            if data:
                yield Event(b"\n".join(data).decode(errors="replace"), name or "message")
            name, data = "", []
        elif field == b"event":
            name = value.decode(errors="replace")
        elif field == b"data":
            data.append(value)


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest, first = b"", True
    for piece in pieces:
        rest += piece
        begin = 0
        # A CR at the very end may be the first half of a CR LF.
        for end in _END.finditer(rest, 0, len(rest) - rest.endswith(b"\r")):
            line = rest[begin : end.start()]
            yield line.removeprefix(_BOM) if first else line
            begin, first = end.end(), False
        rest = rest[begin:]
    if rest.endswith(b"\r"):
        yield rest[:-1]
