"""S3, as far as Celery's result backend and whoever fetches weights go: objects in memory, path-style addresses."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from xml.sax.saxutils import escape

from aiohttp import web

from sandbox.backends.served import Served

ACCESS_DENIED = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
NO_SUCH_BUCKET = "<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message></Error>"
NO_SUCH_KEY = "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"


class S3(Served):
    """``await S3(host).start()``, then `url` as the endpoint; any credentials.

    `objects`: what is there already, by path. A bucket is there once it has an object; of its policy, statements count
    that deny everybody to read what begins in some way.
    """

    def __init__(self, host: str, objects: Mapping[str, bytes] = {}) -> None:
        self.objects = dict(objects)
        self.denied: tuple[str, ...] = ()
        app = web.Application(client_max_size=1 << 30)
        app.router.add_get("/{bucket}", self._list)
        app.router.add_route("*", "/{bucket}", self._policy)
        app.router.add_route("*", "/{bucket}/{key:.+}", self._object)
        super().__init__(host, app)

    async def _list(self, request: web.Request) -> web.Response:
        bucket = f"/{request.match_info['bucket']}/"
        keys = sorted(path.removeprefix(bucket) for path in self.objects if path.startswith(bucket))
        if not keys:
            return web.Response(status=404, text=NO_SUCH_BUCKET, content_type="application/xml")
        found = (key for key in keys if key.startswith(request.query.get("prefix", "")))
        listed = "".join(f"<Contents><Key>{escape(key)}</Key></Contents>" for key in found)
        return web.Response(text=f"<ListBucketResult>{listed}</ListBucketResult>", content_type="application/xml")

    async def _policy(self, request: web.Request) -> web.Response:
        statements = (await request.json())["Statement"] if request.method == "PUT" else []
        self.denied = tuple("/" + one["Resource"].rpartition(":")[2].rstrip("*") for one in statements)
        return web.Response(status=204)

    async def _object(self, request: web.Request) -> web.Response:
        path = request.path
        if request.method == "PUT":
            self.objects[path] = await request.read()
        elif request.method == "DELETE":
            self.objects.pop(path, None)
            return web.Response(status=204)
        elif path.startswith(self.denied):
            return web.Response(status=403, text=ACCESS_DENIED, content_type="application/xml")
        elif path not in self.objects:
            return web.Response(status=404, text=NO_SUCH_KEY, content_type="application/xml")
        body = self.objects[path]
        etag = {"ETag": f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'}
        return web.Response(body=b"" if request.method == "PUT" else body, headers=etag)
