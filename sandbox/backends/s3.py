"""S3, as far as Celery's result backend goes: objects in memory, path-style addresses."""

from __future__ import annotations

import hashlib

from aiohttp import web

NO_SUCH_KEY = "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"


class S3:
    """``await S3(host).start()``, then `url` as the endpoint; any bucket, any credentials."""

    def __init__(self, host: str) -> None:
        self.host, self.url = host, ""
        self.objects: dict[str, bytes] = {}
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=0.1)

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{bucket}/{key:.+}", self._object)
        return app

    async def start(self) -> None:
        """Listen on a free port."""
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host, 0).start()
        self.url = f"http://{self.host}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close; the objects are gone."""
        await self._runner.cleanup()

    async def _object(self, request: web.Request) -> web.Response:
        path = request.path
        if request.method == "PUT":
            self.objects[path] = await request.read()
        elif request.method == "DELETE":
            self.objects.pop(path, None)
            return web.Response(status=204)
        elif path not in self.objects:
            return web.Response(status=404, text=NO_SUCH_KEY, content_type="application/xml")
        body = self.objects[path]
        etag = {"ETag": f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'}
        return web.Response(body=b"" if request.method == "PUT" else body, headers=etag)
