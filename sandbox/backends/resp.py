"""A stand-in for Redis where no real one can be had: RESP 2 and 3, strings with expiry, a password."""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import time
from dataclasses import dataclass
from typing import Any

DATABASES = 16
VERSION = "7.2.0-sandbox-stand-in"

NO_AUTH = "NOAUTH Authentication required."
NO_AUTH_HELLO = (
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> "
    "option can be used to authenticate the client and select the RESP protocol version at the same time"
)
READ_ONLY = "READONLY You can't write against a read only replica."
NO_PERM = "NOPERM this user has no permissions to run the '{}' command or its subcommand"
WRONG_PASS = "WRONGPASS invalid username-password pair or user is disabled."
NO_PASSWORD_SET = (
    "ERR AUTH <password> called without any password configured for the default user. "
    "Are you sure your configuration is correct?"
)


class RespError(Exception):
    """An error reply; its first word is the code."""


@dataclass
class Session:
    """What a connection has agreed on."""

    writer: asyncio.StreamWriter
    authenticated: bool
    protocol: int = 2
    database: int = 0


class RespServer:
    """``await RespServer().start(host, port)``."""

    def __init__(self) -> None:
        self.password = ""
        self._replica, self._forbidden = False, ""  # the command that the default user may not run
        self._values: dict[
            tuple[int, bytes], tuple[bytes, float]
        ] = {}  # (database, key) -> value, expiry on `monotonic`
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()

    async def start(self, host: str, port: int) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, host, port)

    async def stop(self) -> None:
        """Close; clients are cut off."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._clients):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(writer, authenticated=not self.password)
        self._clients.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while line := await reader.readline():
                words = []
                for _ in range(int(line[1:])):
                    length = int((await reader.readline())[1:])
                    words.append((await reader.readexactly(length + 2))[:-2])
                try:
                    reply = encode(self._run(session, words[0].decode().upper(), words[1:]), session.protocol)
                except RespError as error:
                    reply = f"-{error}\r\n".encode()
                writer.write(reply)
                await writer.drain()
        self._clients.discard(writer)
        writer.close()

    def _run(self, session: Session, command: str, words: list[bytes]) -> Any:
        if command == "HELLO":
            return self._hello(session, words)
        if command == "AUTH":
            return self._auth(session, words)
        if not session.authenticated:
            raise RespError(NO_AUTH)
        if command not in COMMANDS:
            begin = " ".join(f"'{word.decode(errors='replace')}'" for word in words[:3])
            raise RespError(f"ERR unknown command '{command}', with args beginning with: {begin}")
        if command == self._forbidden:
            raise RespError(NO_PERM.format(command.lower()))
        if self._replica and command in WRITES:
            raise RespError(READ_ONLY)
        return getattr(self, f"_{command.lower()}")(session, words)

    def _hello(self, session: Session, words: list[bytes]) -> dict[str, Any]:
        if len(words) >= 4 and words[1].upper() == b"AUTH":
            self._auth(session, words[2:4])
        if not session.authenticated:
            raise RespError(NO_AUTH_HELLO)
        session.protocol = int(words[0])
        return {"server": "redis", "version": VERSION, "proto": session.protocol, "mode": "standalone", "modules": []}

    def _auth(self, session: Session, words: list[bytes]) -> str:
        if not self.password and len(words) == 1:
            raise RespError(NO_PASSWORD_SET)
        user = words[0] if len(words) > 1 else b"default"
        if user != b"default" or (self.password and words[-1].decode() != self.password):
            raise RespError(WRONG_PASS)
        session.authenticated = True
        return "OK"

    def _ping(self, session: Session, words: list[bytes]) -> str:
        return "PONG"

    def _client(self, session: Session, words: list[bytes]) -> str:
        if words[0].upper() == b"KILL":  # TYPE normal
            for writer in self._clients - {session.writer}:
                writer.transport.abort()
        return "OK"  # SETINFO: what a client library says about itself

    def _replicaof(self, session: Session, words: list[bytes]) -> str:
        self._replica = words != [b"NO", b"ONE"]
        return "OK"

    def _acl(self, session: Session, words: list[bytes]) -> str:
        if words[:2] != [b"SETUSER", b"default"]:
            raise RespError("ERR the stand-in knows only ACL SETUSER default")
        self._forbidden = words[2].decode().upper().removeprefix("-").removeprefix("+@ALL")
        return "OK"

    def _select(self, session: Session, words: list[bytes]) -> str:
        if int(words[0]) >= DATABASES:
            raise RespError("ERR DB index is out of range")
        session.database = int(words[0])
        return "OK"

    def _config(self, session: Session, words: list[bytes]) -> str:
        if [word.lower() for word in words[:2]] != [b"set", b"requirepass"]:
            raise RespError("ERR the stand-in knows only CONFIG SET requirepass")
        self.password = words[2].decode()
        return "OK"

    def _info(self, session: Session, words: list[bytes]) -> bytes:
        keys = len(self._keys_of(session))
        return f"# Server\r\nredis_version:{VERSION}\r\n# Keyspace\r\ndb{session.database}:keys={keys}\r\n".encode()

    def _set(self, session: Session, words: list[bytes]) -> str:
        options = dict(zip((word.upper() for word in words[2::2]), words[3::2], strict=True))
        seconds = float(options[b"EX"]) if b"EX" in options else float(options.get(b"PX", b"inf")) / 1000
        self._values[session.database, words[0]] = (words[1], time.monotonic() + seconds)
        return "OK"

    def _get(self, session: Session, words: list[bytes]) -> bytes | None:
        value, expires = self._values.get((session.database, words[0]), (None, 0.0))
        return value if expires > time.monotonic() else None

    def _mget(self, session: Session, words: list[bytes]) -> list[bytes | None]:
        return [self._get(session, [key]) for key in words]

    def _del(self, session: Session, words: list[bytes]) -> int:
        return sum(self._values.pop((session.database, key), None) is not None for key in words)

    def _exists(self, session: Session, words: list[bytes]) -> int:
        return sum(self._get(session, [key]) is not None for key in words)

    def _ttl(self, session: Session, words: list[bytes]) -> int:
        left = self._pttl(session, words)
        return left if left < 0 else round(left / 1000)

    def _pttl(self, session: Session, words: list[bytes]) -> int:
        if self._get(session, words) is None:
            return -2
        left = self._values[session.database, words[0]][1] - time.monotonic()
        return -1 if left == float("inf") else round(left * 1000)

    def _keys(self, session: Session, words: list[bytes]) -> list[bytes]:
        pattern = words[0].decode("latin1")
        return [key for key in self._keys_of(session) if fnmatch.fnmatchcase(key.decode("latin1"), pattern)]

    def _scan(self, session: Session, words: list[bytes]) -> list[Any]:
        options = dict(zip((word.upper() for word in words[1::2]), words[2::2], strict=True))
        return [b"0", self._keys(session, [options.get(b"MATCH", b"*")])]

    def _flushdb(self, session: Session, words: list[bytes]) -> str:
        for key in self._keys_of(session):
            del self._values[session.database, key]
        return "OK"

    def _keys_of(self, session: Session) -> list[bytes]:
        now = time.monotonic()
        return [
            key
            for (database, key), (_, expires) in self._values.items()
            if database == session.database and expires > now
        ]


WRITES = {"SET", "DEL", "FLUSHDB"}
COMMANDS = {
    "ACL",
    "PING",
    "REPLICAOF",
    "CLIENT",
    "SELECT",
    "CONFIG",
    "INFO",
    "SET",
    "GET",
    "MGET",
    "DEL",
    "EXISTS",
    "TTL",
    "PTTL",
    "KEYS",
    "SCAN",
    "FLUSHDB",
}


def encode(value: Any, protocol: int) -> bytes:
    """A reply on the wire; `str` is a status, `bytes` a string."""
    if value is None:
        return b"_\r\n" if protocol == 3 else b"$-1\r\n"
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, str):
        return f"+{value}\r\n".encode()
    if isinstance(value, bytes):
        return b"$%d\r\n%s\r\n" % (len(value), value)
    if isinstance(value, dict):
        flat = [part for key, item in value.items() for part in (str(key).encode(), item)]
        head = b"%%%d\r\n" % len(value) if protocol == 3 else b"*%d\r\n" % len(flat)
        return head + b"".join(encode(part, protocol) for part in flat)
    return b"*%d\r\n" % len(value) + b"".join(encode(part, protocol) for part in value)
