"""Requests that were made to the real product, made again: the same status, the same shape of body."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")

DATA = Path(__file__).parent / "data" / "model-engine"
RECORDED_USER = "smoke-user"
SAME_HEADERS = ("content-type", "www-authenticate")
# Fields whose text is the product's own: compared letter by letter. The others by type.
TEXTS = {"detail", "msg", "type", "loc", "error", "traceback", "status", "status_reason", "expected", "tag", "result"}


@dataclass(frozen=True)
class Answer:
    """`body` is decoded JSON, else text."""

    status: int
    headers: Mapping[str, str]
    body: Any


def load(name: str) -> Any:
    """A recording of selftests/data/model-engine."""
    return json.loads((DATA / f"{name}.json").read_text())


def request(url: str, method: str, authorization: str | None, body: Any = None, timeout: float = 20) -> Answer:
    """One HTTP request on its own connection; header values are sent as they are, malformed ones too."""
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.netloc, timeout=timeout)
    headers = {} if authorization is None else {"Authorization": authorization}
    if body is not None:
        headers["Content-Type"] = "application/json"
    try:
        path = where.path + (f"?{where.query}" if where.query else "")
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        received = {key.lower(): value for key, value in answer.getheaders()}
    finally:
        connection.close()
    return Answer(answer.status, received, json.loads(text) if "json" in received.get("content-type", "") else text)


@dataclass
class Replay:
    """Makes recorded requests of one user at `url`, in which what was recorded is replaced by what is there now."""

    url: str
    user: str
    now: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.now[RECORDED_USER] = self.user

    def __call__(self, name: str, *, timeout: float = 20) -> Any:
        """Make the recording's request, compare the answer, return its body."""
        recording = load(name)
        answer = self.ask(recording["request"], timeout=timeout)
        expected = recording["response"]
        assert answer.status == expected["status"], (name, answer)
        for header in SAME_HEADERS:
            assert answer.headers.get(header) == expected["headers"].get(header), (name, header)
        compare(self.translated(expected["body"]), answer.body, name)
        return answer.body

    def ask(self, recorded: Mapping[str, Any], timeout: float = 20) -> Answer:
        """Make a recorded request."""
        path, body, auth = self.translated([recorded["path"], recorded["json"], recorded["auth"]])
        authorization = f"Bearer {self.user}" if auth == "bearer" else auth and auth.removeprefix("hdr:")
        return request(self.url + path, recorded["method"], authorization, body, timeout)

    def translated(self, recorded: Any) -> Any:
        """`recorded` with today's names and ids."""
        text = json.dumps(recorded)
        for then, today in self.now.items():
            text = text.replace(then, today)
        return json.loads(text)


def compare(expected: Any, actual: Any, where: str) -> None:
    """AssertionError, with the place, where the shapes differ: keys, types, the product's own texts."""
    assert type(actual) is type(expected), f"{where}: {actual!r}, recorded {expected!r}"
    if isinstance(expected, dict):
        assert set(actual) == set(expected), where
        for key, value in expected.items():
            compare(value, actual[key], f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(actual) == len(expected), f"{where}: {actual!r}"
        for number, value in enumerate(expected):
            compare(value, actual[number], f"{where}.{number}")
    elif {step for step in where.split(".") if not step.isdigit()} & TEXTS:
        assert actual == expected, where


def until(look: Callable[[], T], seconds: float) -> T:
    """What `look` returns once that is true; AssertionError with the last look after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, seen
        time.sleep(0.05)
    return seen
