"""The kubelet's own HTTP server: ``/containerLogs``, which the API server asks for ``pods/log``."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from .container import Container
from .logs import Selection, follow
from .pod import Pod

# How the reason that keeps a container waiting is told to a reader of its logs.
WAITING = {"ErrImagePull": "image can't be pulled", "ImagePullBackOff": "trying and failing to pull image"}


class Server:
    """`find` looks a pod of this node up by namespace and name."""

    def __init__(self, find: Callable[[str, str], Pod | None]) -> None:
        self._find = find
        application = web.Application()
        application.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
        self.port = 0

    async def start(self, host: str) -> None:
        """Serve on any free port of `host`."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """End what is being followed, too."""
        await self._runner.cleanup()

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        names = request.match_info
        pod = self._find(names["namespace"], names["pod"])
        container = pod.container(names["container"]) if pod else None
        if container is None:  # it was assigned to this node a moment ago
            raise web.HTTPNotFound(text=f'pod "{names["pod"]}" not found')
        where = f'container "{container.name}" in pod "{names["pod"]}"'
        selection = Selection.from_query(request.query)
        if request.query.get("previous") == "true":
            if container.previous_log is None:
                raise web.HTTPBadRequest(text=f"previous terminated {where} not found")
            return _plain(selection.of(container.previous_log.read_bytes()))
        if container.log is None:
            raise web.HTTPBadRequest(text=f"{where} is waiting to start: {_why(container)}")
        if request.query.get("follow") != "true":
            return _plain(selection.of(container.log.path.read_bytes()))
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        async for part in follow(container.log, selection):
            await response.write(part)
        return response


def _plain(text: bytes) -> web.Response:
    return web.Response(body=text, content_type="text/plain")


def _why(container: Container) -> str:
    reason: str = container.state["waiting"]["reason"]
    return WAITING.get(reason, reason)
