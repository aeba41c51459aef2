"""Logs of programs that write one JSON object a line: read by level, logger and message, never searched as raw text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """What a program said at `time` (as it wrote it: only good for telling one line from another).

    `name` is the logger's, `exc_info` the traceback if there is one, `raw` the whole line.
    """

    message: str
    level: str
    name: str
    time: str = ""
    exc_info: str = ""
    raw: str = ""

    @property
    def exception(self) -> str:
        """The last line of the traceback: the exception's class and text; empty without one."""
        return next((one.strip() for one in reversed(self.exc_info.splitlines()) if one.strip()), "")

    @property
    def first(self) -> str:
        """The message's first line."""
        return self.message.strip().partition("\n")[0]

    def __str__(self) -> str:
        return f"{self.level} {self.name}: {self.first}{f' ({self.exception})' if self.exception else ''}"


def lines(text: str) -> Iterator[Line]:
    """The JSON lines of a log, oldest first; what else stands between them is left out (see `raw`)."""
    for line in text.splitlines():
        if found := _parsed(line):
            yield found


def raw(text: str) -> Iterator[str]:
    """The other lines: banners, warnings of libraries, access logs, a traceback that no logger caught."""
    for line in text.splitlines():
        if line.strip() and not _parsed(line):
            yield line.rstrip()


def last(found: Iterable[Line], *beginnings: str, name: str = "") -> Line | None:
    """The newest line whose message begins with one of `beginnings`, of the logger `name` if that is given."""
    newest = None
    for line in found:
        if line.message.startswith(beginnings) and name in ("", line.name):
            newest = line
    return newest


def _parsed(line: str) -> Line | None:
    text = line.strip()
    if not text.startswith("{"):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("message"), str):
        return None
    return Line(
        found["message"],
        str(found.get("level") or found.get("levelname") or ""),
        str(found.get("name") or ""),
        str(found.get("time") or ""),
        str(found.get("exc_info") or ""),
        text,
    )
