"""AMQP 1.0 on the wire: its types, frames and the sections of a message, as far as Service Bus and its SDK use them."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# Performatives, SASL frames, sections and outcomes by their descriptors.
OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION, DETACH, END, CLOSE = range(0x10, 0x19)
ERROR = 0x1D
ACCEPTED, REJECTED, RELEASED, MODIFIED = 0x24, 0x25, 0x26, 0x27
SASL_MECHANISMS, SASL_OUTCOME = 0x40, 0x44
HEADER, DELIVERY_ANNOTATIONS, ANNOTATIONS, PROPERTIES, APPLICATION_PROPERTIES, VALUE = (
    0x70,
    0x71,
    0x72,
    0x73,
    0x74,
    0x77,
)
FIELDS = {
    OPEN: 10,
    BEGIN: 8,
    ATTACH: 14,
    FLOW: 11,
    TRANSFER: 11,
    DISPOSITION: 6,
    DETACH: 3,
    END: 1,
    CLOSE: 1,
    SASL_MECHANISMS: 1,
    SASL_OUTCOME: 2,
}
"""How many fields each has: older SDKs look at optional ones that nobody sent, so all are sent."""
AMQP_FRAME, SASL_FRAME = 0, 1
SASL_PROTOCOL, AMQP_PROTOCOL = b"AMQP\x03\x01\x00\x00", b"AMQP\x00\x01\x00\x00"


class Symbol(str):
    """ASCII that names something."""


class Ubyte(int):
    """8 bits."""


class Ushort(int):
    """16 bits."""


class Uint(int):
    """32 bits."""


class Ulong(int):
    """64 bits."""


class Timestamp(int):
    """Milliseconds since 1970."""


@dataclass(frozen=True)
class Described:
    """A value with its descriptor, which is sent in one byte: the SDK reads no other."""

    code: int
    value: Any


class MalformedError(Exception):
    """Bytes that are no AMQP, or a type that nobody here needs."""


def error(condition: str, description: str) -> Described:
    """An error as close, detach and rejected carry it."""
    return Described(ERROR, [Symbol(condition), description, None])


def encode(value: Any) -> bytes:
    """The bytes of a value; lists and maps in their long forms."""
    for kind, write in _WRITERS:
        if isinstance(value, kind):
            return write(value)
    raise MalformedError(f"no AMQP type for {type(value).__name__}")


def _sized(small: int, value: bytes) -> bytes:
    if len(value) < 256:
        return struct.pack("!BB", small, len(value)) + value
    return struct.pack("!BI", small + 0x10, len(value)) + value


def _compound(code: int, count: int, body: bytes) -> bytes:
    return struct.pack("!BII", code, len(body) + 4, count) + body


def _array(value: tuple[Symbol, ...]) -> bytes:
    """Of symbols: the only arrays that are sent."""
    body = b"".join(struct.pack("!I", len(one)) + one.encode() for one in value)
    return struct.pack("!BIIB", 0xF0, len(body) + 5, len(value), 0xB3) + body


_WRITERS: tuple[tuple[type, Any], ...] = (
    (type(None), lambda _: b"\x40"),
    (bool, lambda value: b"\x41" if value else b"\x42"),
    (Described, lambda value: b"\x00\x53" + bytes([value.code]) + encode(value.value)),
    (Ubyte, lambda value: struct.pack("!BB", 0x50, value)),
    (Ushort, lambda value: struct.pack("!BH", 0x60, value)),
    (Uint, lambda value: struct.pack("!BI", 0x70, value)),
    (Ulong, lambda value: struct.pack("!BQ", 0x80, value)),
    (Timestamp, lambda value: struct.pack("!Bq", 0x83, value)),
    (int, lambda value: struct.pack("!Bq", 0x81, value)),
    (Symbol, lambda value: _sized(0xA3, value.encode())),
    (str, lambda value: _sized(0xA1, value.encode())),
    (bytes, lambda value: _sized(0xA0, value)),
    (uuid.UUID, lambda value: b"\x98" + value.bytes),
    (tuple, lambda value: _array(value)),
    (list, lambda value: _compound(0xD0, len(value), b"".join(map(encode, value)))),
    (
        dict,
        lambda value: _compound(0xD1, 2 * len(value), b"".join(encode(one) for pair in value.items() for one in pair)),
    ),
)
_FIXED: dict[int, tuple[str, type]] = {
    0x50: ("!B", Ubyte),
    0x60: ("!H", Ushort),
    0x70: ("!I", Uint),
    0x52: ("!B", Uint),
    0x80: ("!Q", Ulong),
    0x53: ("!B", Ulong),
    0x51: ("!b", int),
    0x54: ("!b", int),
    0x55: ("!b", int),
    0x61: ("!h", int),
    0x71: ("!i", int),
    0x81: ("!q", int),
    0x83: ("!q", Timestamp),
    0x56: ("!?", bool),
}
_EMPTY: dict[int, Any] = {0x40: None, 0x41: True, 0x42: False, 0x43: Uint(0), 0x44: Ulong(0), 0x45: []}
_LISTS, _MAPS, _ARRAYS = (0xC0, 0xD0), (0xC1, 0xD1), (0xE0, 0xF0)


def decode(data: bytes, at: int = 0) -> tuple[Any, int]:
    """The value that begins at `at`, and where it ends. `MalformedError`."""
    try:
        return _decode(data, at + 1, data[at])
    except (IndexError, struct.error, UnicodeDecodeError) as wrong:
        raise MalformedError(f"malformed at byte {at}: {wrong}") from wrong


def _decode(data: bytes, at: int, code: int) -> tuple[Any, int]:
    if code == 0x00:
        descriptor, at = decode(data, at)
        value, at = decode(data, at)
        return Described(int(descriptor), value), at
    if code in _EMPTY:
        return _EMPTY[code], at
    if code in _FIXED:
        form, kind = _FIXED[code]
        return kind(struct.unpack_from(form, data, at)[0]), at + struct.calcsize(form)
    if code == 0x98:
        return uuid.UUID(bytes=data[at : at + 16]), at + 16
    if code in (0xA0, 0xB0, 0xA1, 0xB1, 0xA3, 0xB3):
        size, at = (data[at], at + 1) if code < 0xB0 else (struct.unpack_from("!I", data, at)[0], at + 4)
        raw = data[at : at + size]
        kind = {0x0: bytes, 0x1: str, 0x3: Symbol}[code & 0x0F]
        return (raw if kind is bytes else kind(raw.decode())), at + size
    if code in (*_LISTS, *_MAPS, *_ARRAYS):
        form = "!BB" if code in (0xC0, 0xC1, 0xE0) else "!II"
        _, count = struct.unpack_from(form, data, at)
        at += struct.calcsize(form)
        if code in _ARRAYS:  # one constructor for all
            return _many(data, at + 1, count, data[at])
        items, at = _many(data, at, count)
        return (dict(zip(items[::2], items[1::2], strict=True)) if code in _MAPS else items), at
    raise MalformedError(f"AMQP type 0x{code:02x} is not part of the sandbox")


def _many(data: bytes, at: int, count: int, code: int | None = None) -> tuple[list[Any], int]:
    found = []
    for _ in range(count):
        value, at = decode(data, at) if code is None else _decode(data, at, code)
        found.append(value)
    return found, at


def sections(message: bytes) -> Iterator[tuple[int, Any, bytes]]:
    """Descriptor, value and bytes of each section of a message. `MalformedError`."""
    at = 0
    while at < len(message):
        value, end = decode(message, at)
        yield value.code, value.value, message[at:end]
        at = end


def frame(channel: int, code: int, fields: list[Any], payload: bytes = b"", kind: int = AMQP_FRAME) -> bytes:
    """A frame with all fields of its performative, those that are not given as null."""
    body = encode(Described(code, fields + [None] * (FIELDS[code] - len(fields)))) + payload
    return struct.pack("!IBBH", 8 + len(body), 2, kind, channel) + body


def performative(body: bytes) -> tuple[int, list[Any], bytes]:
    """Of a frame's body: descriptor, all fields, and the payload behind them. `MalformedError`."""
    value, end = decode(body)
    return value.code, value.value + [None] * (FIELDS.get(value.code, 0) - len(value.value)), body[end:]
