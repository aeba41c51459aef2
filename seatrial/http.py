"""The one HTTP client for products. Every call is an event of the record."""

from __future__ import annotations

import json as json_text
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from seatrial.arrival import Piece, Reads
from seatrial.closing import Closing
from seatrial.course import Course
from seatrial.http_errors import Answer, Product, broken, failure
from seatrial.mask import masked
from seatrial.network import proxy_for, trusted, why
from seatrial.record import Record
from seatrial.secret import Token
from seatrial.verdict import BadSettings, Unhealthy

__all__ = ["Answer", "Http", "Streamed"]

_READS = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Streamed:
    """A whole answer, and the pieces that it came in."""

    answer: Answer
    pieces: tuple[Piece, ...]


class Http(Closing):
    """Talks to one product at `base_url`, over one connection for each call.

    Its methods raise `Unhealthy` when nobody answers as an HTTP API does, `Refused` when our token is not accepted or
    a login page stands before it, and `Unreachable` when its name does not resolve. An error that the product itself
    answers is an answer. Redirects are not followed, nothing is repeated.
    """

    def __init__(
        self,
        base_url: str,
        *,
        record: Record,
        token: Token | None,
        timeout: float,
        source: str,
        seen_from: str,
        ca_bundle: Path | None = None,
        explain: Callable[[], None] = lambda: None,
        suspect: Callable[[Answer | None], None] = lambda answer: None,
        name: str = "gateway",
        read_only: bool = False,
    ) -> None:
        """`timeout`: seconds for a whole answer.

        `source`: where the address came from; `seen_from`: where we stand; `name`: as messages call the product;
        `explain`: is called when a connection broke, and raises the reason if it knows a better one than we
        (`Forward.explain`); `suspect` the same for an answer from 500 on, and, with None, where none came in time.
        With `read_only` only GET, HEAD and OPTIONS are sent.
        """
        self.base_url = base_url.rstrip("/")
        self._product = Product(name, masked(self.base_url), source, seen_from)
        self._record, self._token, self._timeout, self._read_only = record, token, timeout, read_only
        self._explain, self._suspect = explain, suspect
        self._client = httpx.Client(
            verify=trusted(ca_bundle) if self.base_url.startswith("https") else False,
            proxy=proxy_for(self.base_url),
            trust_env=False,
            # An idle connection may be closed by the other side just as we write, and a POST lost in it could not be
            # repeated. And only of a connection of its own a call knows the socket, see `Course`.
            limits=httpx.Limits(max_keepalive_connections=0),
            headers={"Accept": "application/json", "Connection": "close", "User-Agent": "seatrial"},
        )

    def close(self) -> None:
        """Close what is open."""
        self._client.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, str] | None = None,
        auth: bool | str = True,
        timeout: float | None = None,
    ) -> Answer:
        """What the product answers to one request.

        `auth`: True sends our token, False none, a text that one; only ours has to be accepted. A refused token that
        came from a file or a command is fetched again, once. `timeout`: seconds for the whole answer, in place of the
        client's.
        """
        return self._asked(_Call(method, path, json, params, timeout or self._timeout), auth)

    def stream(self, method: str, path: str, *, json: Any = None, timeout: float | None = None) -> Streamed:
        """What the product answers, with the time at which each piece of it came. Raises as `call` does.

        `timeout`: seconds until its end. A stream that breaks off is `Unhealthy`, as any answer that does.
        """
        pieces: list[Piece] = []
        accepts = {"Accept": "text/event-stream, application/json"}
        asked = _Call(method, path, json, None, timeout or self._timeout, accepts, pieces)
        return Streamed(self._asked(asked, True), tuple(pieces))

    def _asked(self, asked: _Call, auth: bool | str) -> Answer:
        if self._read_only and asked.method not in _READS:
            raise BadSettings(
                f"a run that only reads does not {asked.method} {asked.path}",
                source="read_only",
                do="leave --read-only away",
            )
        ours = self._token.value() if auth is True and self._token else None
        bearer = ours.reveal() if ours else auth if isinstance(auth, str) else None
        answer = self._send(asked, bearer)
        if answer.status == 401 and self._token and ours and self._token.refetch(ours):
            answer = self._send(asked, self._token.value().reveal())
        if trouble := failure(answer, self._token.source if self._token and ours else None):
            raise trouble
        if answer.status >= 500:
            self._suspect(answer)
        return answer

    def _send(self, asked: _Call, bearer: str | None) -> Answer:
        course, reads, status = Course(asked.seconds), Reads(), 0
        said: dict[str, Any] = {}

        def trace(step: str, info: Mapping[str, Any]) -> None:
            course.trace(step, info)
            reads.trace(step, info)

        began = time.monotonic()
        asked.pieces.clear()
        try:
            with (
                course,
                self._client.stream(
                    asked.method,
                    self.base_url + asked.path,
                    json=asked.body,
                    params=asked.params,
                    headers={**asked.headers, **({"Authorization": f"Bearer {bearer}"} if bearer is not None else {})},
                    timeout=asked.seconds,
                    extensions={"trace": trace},
                ) as response,
            ):
                status = response.status_code
                for data in response.iter_bytes():
                    asked.pieces.append(Piece(data, time.monotonic() - began, reads.count))
        except httpx.RequestError as error:
            said["error"] = why(error)
            self._explain()
            reason = broken(self._product, f"{asked.method} {asked.path}", error, course, asked.seconds)
            if isinstance(reason, Unhealthy) and reason.cause.key.endswith("/silent"):
                self._suspect(None)
            if isinstance(reason, Unhealthy) and asked.pieces:
                had = f"{sum(len(one.data) for one in asked.pieces)} bytes had come in {asked.pieces[-1].read} reads"
                reason = Unhealthy(replace(reason.cause, evidence=(*reason.cause.evidence, had)))
            raise reason from error
        finally:
            ms = round((time.monotonic() - began) * 1000)
            self._record.event("http", method=asked.method, path=asked.path, status=status, ms=ms, **said)
        content = b"".join(one.data for one in asked.pieces)
        return self._answer(f"{asked.method} {self._product.url}{asked.path}", response, content)

    def _answer(self, asked: str, response: httpx.Response, content: bytes) -> Answer:
        is_json, data = "json" in response.headers.get("content-type", ""), None
        if is_json:
            try:
                data = json_text.loads(content)
            except ValueError:
                is_json = False
        text = content.decode(response.charset_encoding or "utf-8", errors="replace")
        return Answer(self._product, asked, response.status_code, response.headers, text, is_json, data, content)


@dataclass(frozen=True)
class _Call:
    """One request, and the `pieces` of its answer as they come."""

    method: str
    path: str
    body: Any
    params: Mapping[str, str] | None
    seconds: float
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: list[Piece] = field(default_factory=list)
