"""SPDY/3.1 as kubectl (1.31 and newer) tunnels it through a WebSocket for port-forward: the server's side."""

from __future__ import annotations

import asyncio
import enum
import zlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

# The header compression's dictionary (SPDY/3 draft, 2.6.10.1): words with their length before them, then a tail.
# An underscore stands for a blank.
_WORDS = """
options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age
allow authorization cache-control connection content-base content-encoding content-language content-length
content-location content-md5 content-range content-type date etag expect expires from host if-match
if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma
proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade
user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie
keep-alive origin
"""
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
_LISTED = [word.replace("_", " ") for word in _WORDS.split()]
DICTIONARY = b"".join(len(word).to_bytes(4, "big") + word.encode() for word in _LISTED) + _TAIL.encode()

VERSION_AND_CONTROL = 0x80030000
FIN = 1


class Kind(enum.IntEnum):
    """Frame types; DATA is ours (data frames have no type of their own)."""

    DATA = 0
    SYN_STREAM = 1
    SYN_REPLY = 2
    RST_STREAM = 3
    PING = 6
    GOAWAY = 7


@dataclass(frozen=True)
class Frame:
    """A received frame; `headers` are a SYN_STREAM's, with lower-case names."""

    kind: Kind
    stream: int
    payload: bytes
    final: bool
    headers: dict[str, str] = field(default_factory=dict)


class Session:
    """One SPDY connection: bytes in, frames out, and frames written whole and in order."""

    def __init__(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        self._send = send
        self._deflate = zlib.compressobj(9, zlib.DEFLATED, 15, 9, zlib.Z_DEFAULT_STRATEGY, DICTIONARY)
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._buffer = bytearray()
        self._writing = asyncio.Lock()

    def receive(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes; types that kubectl does not send are passed over."""
        self._buffer += data
        while len(self._buffer) >= 8:
            end = 8 + int.from_bytes(self._buffer[5:8], "big")
            if len(self._buffer) < end:
                return
            word, flags = int.from_bytes(self._buffer[:4], "big"), self._buffer[4]
            payload = bytes(self._buffer[8:end])
            del self._buffer[:end]
            final = bool(flags & FIN)
            if not word >> 31:
                yield Frame(Kind.DATA, word, payload, final)
            elif word & 0xFFFF == Kind.PING:
                yield Frame(Kind.PING, 0, payload, final)
            elif word & 0xFFFF == Kind.RST_STREAM:
                yield Frame(Kind.RST_STREAM, _stream_id(payload), b"", True)
            elif word & 0xFFFF == Kind.SYN_STREAM:
                headers = self._headers(payload[10:])
                yield Frame(Kind.SYN_STREAM, _stream_id(payload), b"", final, headers)

    def _headers(self, block: bytes) -> dict[str, str]:
        block = self._inflate.decompress(block)
        position = 4
        words = []
        for _ in range(2 * int.from_bytes(block[:4], "big")):
            length = int.from_bytes(block[position : position + 4], "big")
            words.append(block[position + 4 : position + 4 + length].decode())
            position += 4 + length
        return {name.lower(): value for name, value in zip(words[::2], words[1::2], strict=True)}

    async def data(self, stream: int, payload: bytes, *, final: bool = False) -> None:
        """Send a data frame."""
        await self._write(stream, int(final), payload)

    async def reply(self, stream: int) -> None:
        """Accept a stream, without headers."""
        async with self._writing:
            no_headers = self._deflate.compress(bytes(4)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
            await self._send(_frame(VERSION_AND_CONTROL | Kind.SYN_REPLY, 0, stream.to_bytes(4, "big") + no_headers))

    async def pong(self, payload: bytes) -> None:
        """Answer a ping."""
        await self._write(VERSION_AND_CONTROL | Kind.PING, 0, payload)

    async def _write(self, word: int, flags: int, payload: bytes) -> None:
        async with self._writing:
            await self._send(_frame(word, flags, payload))


def _frame(word: int, flags: int, payload: bytes) -> bytes:
    return word.to_bytes(4, "big") + bytes([flags]) + len(payload).to_bytes(3, "big") + payload


def _stream_id(payload: bytes) -> int:
    return int.from_bytes(payload[:4], "big") & 0x7FFFFFFF
