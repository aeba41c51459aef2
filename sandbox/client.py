"""A plain Kubernetes client for the stand-ins: dicts over aiohttp, API paths as they stand in the API reference."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp
import yaml

Object = dict[str, Any]

PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
}


class ApiError(Exception):
    """The API server refused: `status` is the HTTP code, `body` the Status object (or the text) it sent."""

    def __init__(self, method: str, path: str, status: int, body: Any) -> None:
        self.status, self.body = status, body
        self.reason = body.get("reason", "") if isinstance(body, dict) else ""
        text = body.get("message", "") if isinstance(body, dict) else str(body)
        super().__init__(f"{method} {path}: {status} {text[:300]}")


class Client:
    """Use as ``async with Client(...) as client``; every path is absolute, e.g. ``/api/v1/namespaces/x/pods``."""

    def __init__(self, url: str, token: str, ca: bytes | str) -> None:
        """`ca`: the authority's certificate, PEM."""
        self.url, self.token = url.rstrip("/"), token
        pem = ca.decode() if isinstance(ca, bytes) else ca
        self._ssl = ssl.create_default_context(cadata=pem)
        self.ca = pem
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def from_kubeconfig(cls, path: str | Path) -> Client:
        """The current context of a kubeconfig that holds a token and an inline CA, as the sandbox writes it."""
        config = yaml.safe_load(Path(path).read_text())
        context = next(c["context"] for c in config["contexts"] if c["name"] == config["current-context"])
        cluster = next(c["cluster"] for c in config["clusters"] if c["name"] == context["cluster"])
        user = next(u["user"] for u in config["users"] if u["name"] == context["user"])
        return cls(cluster["server"], user["token"], base64.b64decode(cluster["certificate-authority-data"]))

    @classmethod
    def in_cluster(cls) -> Client:
        """From inside a pod: the mounted service account (below ``POD_ROOT``) and the API server's address in env."""
        mount = Path(os.environ.get("POD_ROOT", "/") + "/var/run/secrets/kubernetes.io/serviceaccount")
        url = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
        return cls(url, (mount / "token").read_text(), (mount / "ca.crt").read_text())

    async def __aenter__(self) -> Client:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._ssl, limit=0),
            headers={"Authorization": f"Bearer {self.token}"},
            read_bufsize=1 << 22,  # one watch event is one line, and a ConfigMap may be large
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def request(
        self, method: str, path: str, *, body: Any = None, params: dict[str, str] | None = None, content_type: str = ""
    ) -> Any:
        """The decoded JSON answer (or the text of another content type); `ApiError` for any status from 400."""
        assert self._session is not None, "use `async with`"
        headers = {"Content-Type": content_type or "application/json"} if body is not None else {}
        data = None if body is None else json.dumps(body)
        async with self._session.request(method, self.url + path, data=data, params=params, headers=headers) as answer:
            text = await answer.text()
            decoded = json.loads(text) if "json" in answer.headers.get("Content-Type", "") else text
            if answer.status >= 400:
                raise ApiError(method, path, answer.status, decoded)
            return decoded

    async def get(self, path: str) -> Object:
        """One object."""
        return await self.request("GET", path)  # type: ignore[no-any-return]

    async def list(self, path: str, **params: str) -> list[Object]:
        """A collection's items; `params` such as ``labelSelector="app=x"``."""
        return list((await self.request("GET", path, params=params))["items"])

    async def create(self, path: str, obj: Object) -> Object:
        """POST to a collection."""
        return await self.request("POST", path, body=obj)  # type: ignore[no-any-return]

    async def replace(self, path: str, obj: Object) -> Object:
        """PUT one object (its resourceVersion decides about conflicts)."""
        return await self.request("PUT", path, body=obj)  # type: ignore[no-any-return]

    async def patch(self, path: str, patch: Any, kind: str = "merge") -> Object:
        """PATCH one object or subresource; `kind` is a key of `PATCH_TYPES`."""
        return await self.request("PATCH", path, body=patch, content_type=PATCH_TYPES[kind])  # type: ignore[no-any-return]

    async def delete(self, path: str, **options: Any) -> Object:
        """DELETE one object; `options` are DeleteOptions fields, e.g. ``gracePeriodSeconds=0``."""
        return await self.request("DELETE", path, body=options or None)  # type: ignore[no-any-return]

    async def watch(self, path: str, **params: str) -> AsyncIterator[tuple[str, Object]]:
        """``(type, object)`` for ever: what exists first, as ADDED; lists again after a 410 or a broken connection."""
        assert self._session is not None, "use `async with`"
        while True:
            try:
                listed = await self.request("GET", path, params=params)
                for item in listed["items"]:
                    yield "ADDED", item
                query = {**params, "watch": "true", "resourceVersion": listed["metadata"]["resourceVersion"]}
                timeout = aiohttp.ClientTimeout(total=None)
                async with self._session.get(self.url + path, params=query, timeout=timeout) as stream:
                    async for line in stream.content:
                        event = json.loads(line)
                        if event["type"] == "ERROR":
                            break
                        yield event["type"], event["object"]
            except (TimeoutError, aiohttp.ClientError, ConnectionError):
                await asyncio.sleep(0.2)
