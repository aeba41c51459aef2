"""The one HTTP client for products. Every call is an event of the record."""

from __future__ import annotations

import json as json_text
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from seatrial.closing import Closing
from seatrial.course import Course
from seatrial.http_errors import Answer, Product, broken, failure
from seatrial.mask import masked
from seatrial.network import proxy_for, trusted, why
from seatrial.record import Record
from seatrial.secret import Token
from seatrial.verdict import BadSettings, Unhealthy

__all__ = ["Answer", "Http"]

_READS = ("GET", "HEAD", "OPTIONS")


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
        if self._read_only and method not in _READS:
            raise BadSettings(
                f"a run that only reads does not {method} {path}", source="read_only", do="leave --read-only away"
            )
        ours = self._token.value() if auth is True and self._token else None
        bearer = ours.reveal() if ours else auth if isinstance(auth, str) else None
        answer = self._send(method, path, json, params, bearer, timeout or self._timeout)
        if answer.status == 401 and self._token and ours and self._token.refetch(ours):
            answer = self._send(method, path, json, params, self._token.value().reveal(), timeout or self._timeout)
        if trouble := failure(answer, self._token.source if self._token and ours else None):
            raise trouble
        if answer.status >= 500:
            self._suspect(answer)
        return answer

    def _send(
        self, method: str, path: str, body: Any, params: Mapping[str, str] | None, bearer: str | None, seconds: float
    ) -> Answer:
        course, began, status = Course(seconds), time.monotonic(), 0
        said: dict[str, Any] = {}
        try:
            with course:
                response = self._client.request(
                    method,
                    self.base_url + path,
                    json=body,
                    params=params,
                    headers={"Authorization": f"Bearer {bearer}"} if bearer is not None else {},
                    timeout=seconds,
                    extensions={"trace": course.trace},
                )
            status = response.status_code
        except httpx.RequestError as error:
            said["error"] = why(error)
            self._explain()
            reason = broken(self._product, f"{method} {path}", error, course, seconds)
            if isinstance(reason, Unhealthy) and reason.cause.key.endswith("/silent"):
                self._suspect(None)
            raise reason from error
        finally:
            ms = round((time.monotonic() - began) * 1000)
            self._record.event("http", method=method, path=path, status=status, ms=ms, **said)
        return self._answer(f"{method} {self._product.url}{path}", response)

    def _answer(self, asked: str, response: httpx.Response) -> Answer:
        is_json, data = "json" in response.headers.get("content-type", ""), None
        if is_json:
            try:
                data = json_text.loads(response.content)
            except ValueError:
                is_json = False
        return Answer(
            self._product,
            asked,
            response.status_code,
            response.headers,
            response.text,
            is_json,
            data,
            response.content,
        )
