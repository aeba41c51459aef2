"""Whoever runs the outside services: can stop each, start it again, and say what a credential may not do with queues.

``PUT /<service> {"running": false}``, a service being redis, postgres, sqs or servicebus,
``PUT /sqs/deny [["<access key id>", "<action>"]]``, and ``PUT /servicebus/idle {"seconds": 8}`` for how long a
connection may be idle, null for as long as always; each answers once it is so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from aiohttp import web

from sandbox.backends.served import Served
from sandbox.backends.service_bus import Idle, ServiceBus
from sandbox.backends.sqs import Sqs


class Service(Protocol):
    """What can be away for a while, and comes back at the same address."""

    async def pause(self) -> None:
        """Refuse connections; those that there are break."""

    async def resume(self) -> None:
        """Serve again, with what had been stored."""


class Operator(Served):
    """``await Operator(host, {...}).start()``, then `url`."""

    def __init__(
        self, host: str, services: Mapping[str, Service], sqs: Sqs, service_bus: ServiceBus | None = None
    ) -> None:
        self._services: dict[str, Service] = {**services, **({"servicebus": service_bus} if service_bus else {})}
        self._sqs, self._service_bus = sqs, service_bus
        app = web.Application()
        app.router.add_put("/sqs/deny", self._deny)
        app.router.add_put("/servicebus/idle", self._idle)
        app.router.add_put("/{service}", self._switch)
        super().__init__(host, app)

    async def _switch(self, request: web.Request) -> web.Response:
        service = self._services[request.match_info["service"]]
        await (service.resume() if (await request.json())["running"] else service.pause())
        return web.Response()

    async def _deny(self, request: web.Request) -> web.Response:
        self._sqs.deny = {(key, action) for key, action in await request.json()}
        return web.Response()

    async def _idle(self, request: web.Request) -> web.Response:
        seconds = (await request.json())["seconds"]
        if self._service_bus is None:
            return web.Response(status=404)
        idle = Idle.scaled()
        self._service_bus.idle = idle if seconds is None else replace(idle, frames=seconds)
        return web.Response()
