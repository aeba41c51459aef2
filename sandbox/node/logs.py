"""What a container wrote, line by line with the time of each, and how ``/containerLogs`` reads it back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from .timestamps import now_nanoseconds

# The timestamp and the blank before each line's text.
PREFIX = len("2026-11-21T08:00:00.123456789Z ")


class ContainerLog:
    """The log of one run of a container: a file whose lines are ``<time> <text>``."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("wb", buffering=0)
        self._rest = b""
        self._changed = asyncio.Event()
        self.closed = False

    def write(self, data: bytes) -> None:
        """Add output as it came; a line is kept once it is complete."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if lines:
            stamp = now_nanoseconds().encode() + b" "
            self._file.write(b"".join(stamp + line + b"\n" for line in lines))
            self._wake()

    def close(self) -> None:
        """The container has ended; an incomplete last line counts as one."""
        if self._rest:
            self.write(b"\n")
        self._file.close()
        self.closed = True
        self._wake()

    async def changed(self) -> None:
        """Return when there is more to read, or nothing more will come."""
        await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


@dataclass(frozen=True)
class Selection:
    """The query of ``/containerLogs``: PodLogOptions of the API."""

    tail: int | None
    since: str
    timestamps: bool
    limit: int | None

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Selection:
        """From ``tailLines sinceSeconds sinceTime timestamps limitBytes``."""
        since = query.get("sinceTime", "")
        if "sinceSeconds" in query:
            start = datetime.now(UTC) - timedelta(seconds=int(query["sinceSeconds"]))
            since = f"{start:%Y-%m-%dT%H:%M:%S.%f}"
        return cls(
            tail=int(query["tailLines"]) if "tailLines" in query else None,
            since=since.removesuffix("Z"),
            timestamps=query.get("timestamps") == "true",
            limit=int(query["limitBytes"]) if "limitBytes" in query else None,
        )

    def of(self, stored: bytes) -> bytes:
        """The selected part of a log file's content."""
        lines = [line + b"\n" for line in stored.split(b"\n")[:-1]]
        if self.since:
            lines = [line for line in lines if line[: len(self.since)] >= self.since.encode()]
        if self.tail is not None:
            lines = lines[len(lines) - min(self.tail, len(lines)) :]
        text = b"".join(lines if self.timestamps else (line[PREFIX:] for line in lines))
        return text if self.limit is None else text[: self.limit]


async def follow(log: ContainerLog, selection: Selection) -> AsyncIterator[bytes]:
    """The selected part now, then every further line until the container ends."""
    with log.path.open("rb") as file:
        yield selection.of(file.read())
        rest = Selection(tail=None, since="", timestamps=selection.timestamps, limit=None)
        while True:
            if more := file.read():
                yield rest.of(more)
            elif log.closed:
                return
            else:
                await log.changed()
