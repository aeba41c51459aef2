"""Server-sent events, as far as the product's streams go: one line of data each."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp

CONTENT_TYPE = "text/event-stream; charset=utf-8"
HEADERS = {"Cache-Control": "no-cache"}


def event(data: str) -> str:
    """One event on the wire."""
    return f"data: {data}\r\n\r\n"


async def events(answer: aiohttp.ClientResponse) -> AsyncIterator[str]:
    """The data of each event of a stream."""
    async for line in answer.content:
        if line.startswith(b"data: "):
            yield line.decode().removeprefix("data: ").rstrip("\r\n")
