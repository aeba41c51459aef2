"""The API server: TLS, authentication, dispatch; it also runs the controllers and the scheduler."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

import trustme
from aiohttp import web

from sandbox.kube.authorization import Authorizer
from sandbox.kube.cluster import Cluster
from sandbox.kube.controllers import manager
from sandbox.kube.errors import PathNotFound, StatusError
from sandbox.kube.negotiation import json_response
from sandbox.kube.request_info import RequestInfo, attributes, parse
from sandbox.kube.resources import REVIEWS
from sandbox.kube.routes import discovery, logs, objects, openapi, portforward, reviews, scale, tokens, watches
from sandbox.kube.users import Tokens, User

log = logging.getLogger(__name__)

HEALTH = ("/healthz", "/livez", "/readyz")
# The texts (of scheduler and API) are those of this release.
VERSION = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.0",
    "gitCommit": "$Format:%H$",
    "gitTreeState": "",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "go1.27.3",
    "compiler": "gc",
    "platform": "linux/amd64",
}
MAX_BODY = 8 << 20


class ApiServer:
    """A Kubernetes API with one writer: everything runs on the event loop that calls `start`."""

    url: str
    ca_pem: bytes

    def __init__(self, *, users: Mapping[str, User], service_network: str) -> None:
        """`users`: by bearer token; `service_network`: the Services' addresses, e.g. ``127.7.200.0/24``."""
        self._cluster = Cluster(service_network)
        self._tokens = Tokens(self._cluster.store, users)
        self._authorizer = Authorizer(self._cluster)
        self._runner: web.AppRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, host: str, port: int = 0) -> None:
        """Serve HTTPS on `host` (port 0: any free one) under a CA of its own, and start the controllers."""
        authority = trustme.CA()
        self.ca_pem = authority.cert_pem.bytes()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(host, "localhost", "kubernetes.default.svc").configure_cert(context)
        application = web.Application(client_max_size=MAX_BODY, middlewares=[_status_of_errors])
        application.router.add_route("*", "/{path:.*}", self._dispatch)
        # A watch whose client has gone ends at once; at the end nobody is waited for.
        self._runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, ssl_context=context)
        await site.start()
        bound = self._runner.addresses[0][1]
        self.url = f"https://{host}:{bound}"
        manager.bootstrap(self._cluster, host, bound)
        loops = manager.control_loops(self._cluster, self.ca_pem.decode())
        self._tasks = [asyncio.create_task(loop.run(), name=type(loop).__name__) for loop in loops]

    async def stop(self) -> None:
        """End the controllers and every open request."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._runner is not None:
            await self._runner.cleanup()

    def subject(self, token: str) -> str | None:
        """Whose token it is; None for one that is not accepted."""
        try:
            return self._tokens.user(token).name
        except StatusError:
            return None

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        path = urlsplit(request.path).path.rstrip("/") or "/"
        parts = path.strip("/").split("/")
        user = self._tokens.user(request.headers.get("Authorization", "").removeprefix("Bearer ").strip())
        asked = attributes(request)
        self._authorizer.check(user, asked)
        if (asked.verb, asked.combined) == ("get", "pods/portforward"):
            # Since 1.35 a WebSocket, which begins as a GET, asks for the right that SPDY's POST always asked for.
            self._authorizer.check(user, replace(asked, verb="create"))
        if path in HEALTH:
            return web.Response(text="ok")
        if path == "/version":
            return json_response(VERSION)
        if parts[0] == "openapi":
            return openapi.handle(self._cluster.resources, parts)
        if parts[0] not in ("api", "apis") or (parts[0] == "api" and parts[1:2] not in ([], ["v1"])):
            raise PathNotFound
        if len(parts) <= (2 if parts[0] == "api" else 3):
            return discovery.handle(request, self._cluster.resources, parts)
        return await self._handle(request, parse(request, self._cluster.resources, user))

    async def _handle(self, request: web.Request, info: RequestInfo) -> web.StreamResponse:
        if info.resource in REVIEWS:
            return await reviews.handle(request, info, self._authorizer)
        if info.subresource == "token":
            return await tokens.handle(request, self._cluster, info, self._tokens)
        handlers: dict[str, Callable[[web.Request, Cluster, RequestInfo], Awaitable[web.StreamResponse]]] = {
            "log": logs.handle,
            "portforward": portforward.handle,
            "scale": scale.handle,
        }
        default = watches.handle if info.verb == "watch" else objects.handle
        return await handlers.get(info.subresource, default)(request, self._cluster, info)


@web.middleware
async def _status_of_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Errors as the API writes them. Whatever comes between client and API (delays, refusals) is a middleware, too."""
    try:
        return await handler(request)
    except PathNotFound:
        return web.Response(text="404 page not found\n", status=404)
    except StatusError as error:
        return json_response(error.body(), error.code)
