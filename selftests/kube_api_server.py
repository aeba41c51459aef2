"""Raw requests to the sandbox's Kubernetes API, and the official client of it."""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from api_server import TOKEN, Api
from kubernetes import client, config

from sandbox.kube.users import User

Found = TypeVar("Found")


@dataclass
class Answer:
    """What the server sent: `body` is decoded where it is JSON."""

    status: int
    body: Any
    content_type: str


class Running:
    """A server that answers, and raw requests to it."""

    def __init__(self, api: Api, directory: Path) -> None:
        self.url, self.kubeconfig = api.url, api.config
        self.ca_file = directory / "ca.crt"
        self.ca_file.write_bytes(api.ca_pem)
        self._ssl = ssl.create_default_context(cadata=api.ca_pem.decode())

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        token: str | None = TOKEN,
    ) -> Answer:
        """One request; `body` is sent as it is when it is bytes or text, else as JSON."""
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
        headers = {"Accept": accept, "Content-Type": content_type}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        sent = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(sent, context=self._ssl, timeout=10) as answer:
                return self._answer(answer.status, answer.read(), answer.headers.get("Content-Type", ""))
        except urllib.error.HTTPError as error:
            with error:
                return self._answer(error.code, error.read(), error.headers.get("Content-Type", ""))

    def _answer(self, status: int, data: bytes, content_type: str) -> Answer:
        text = data.decode()
        is_document = "json" in content_type and text.count("\n") == 0
        return Answer(status, json.loads(text) if is_document else text, content_type)


@contextmanager
def running(directory: Path) -> Iterator[Running]:
    """A server with the users of the recorded answers; its controllers run. `directory` gets kubeconfig and CA."""
    with Api(directory, ro=User("readonly")) as api:
        yield Running(api, directory)


@contextmanager
def official_client(server: Running) -> Iterator[client.ApiClient]:
    """The official client, from the kubeconfig that the sandbox writes, with all its connections closed at the end."""
    with config.new_client_from_config(str(server.kubeconfig)) as made:
        yield made
    made.rest_client.close()


def eventually(look: Callable[[], Found], seconds: float = 5) -> Found:
    """What `look` returns once it no longer raises AssertionError."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return look()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
