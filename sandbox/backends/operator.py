"""Whoever runs the outside services: can stop each, start it again, and say what a credential may not do with queues.

``PUT /<service> {"running": false}``, a service being redis, postgres or sqs, and
``PUT /sqs/deny [["<access key id>", "<action>"]]``; both answer once it is so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from aiohttp import web

from sandbox.backends.served import Served
from sandbox.backends.sqs import Sqs


class Service(Protocol):
    """What can be away for a while, and comes back at the same address."""

    async def pause(self) -> None:
        """Refuse connections; those that there are break."""

    async def resume(self) -> None:
        """Serve again, with what had been stored."""


class Operator(Served):
    """``await Operator(host, {...}).start()``, then `url`."""

    def __init__(self, host: str, services: Mapping[str, Service], sqs: Sqs) -> None:
        self._services, self._sqs = services, sqs
        app = web.Application()
        app.router.add_put("/sqs/deny", self._deny)
        app.router.add_put("/{service}", self._switch)
        super().__init__(host, app)

    async def _switch(self, request: web.Request) -> web.Response:
        service = self._services[request.match_info["service"]]
        await (service.resume() if (await request.json())["running"] else service.pause())
        return web.Response()

    async def _deny(self, request: web.Request) -> web.Response:
        self._sqs.deny = {(key, action) for key, action in await request.json()}
        return web.Response()
