"""``python -m sandbox.faults.ingress.program``: forwards to $UPSTREAM and tells $LIES, whose names stand there.

A lie's first telling is its public sign and goes to the file $SIGNS. ``/.ingress`` names the lies.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import aiohttp
from aiohttp import web

from sandbox import signs
from sandbox.faults.ingress.lies import LIES

NOT_FORWARDED = {"Transfer-Encoding", "Content-Length", "Content-Encoding", "Connection", "Date", "Server"}


class Ingress:
    """Lies in front of one upstream."""

    def __init__(self, names: str, upstream: str, session: aiohttp.ClientSession) -> None:
        self.names, self.upstream, self.session = names.split(), upstream, session
        self.told: set[str] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Lie or forward."""
        if request.path == "/.ingress":
            return web.Response(text=" ".join(self.names))
        met = ((name, one) for name in self.names for one in LIES[name] if one.meets(request))
        name, lie = next(met, ("", None))
        if lie is None:
            return await self.relay(request)
        if name not in self.told:
            self.told.add(name)
            service = os.environ["SERVICE"]
            signs.write(Path(os.environ["SIGNS"]), name, service, f"{request.method} {request.path}")
        return await lie.tell(request, self.forward)

    async def relay(self, request: web.Request) -> web.StreamResponse:
        """The upstream's answer, piece by piece."""
        async with self._ask(request, await request.read(), {}) as answer:
            passed = web.StreamResponse(status=answer.status, headers=kept(answer))
            await passed.prepare(request)
            async for piece in answer.content.iter_any():
                await passed.write(piece)
            return passed

    async def forward(
        self, request: web.Request, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> web.Response:
        """The upstream's answer; `body` replaces the request's, `headers` are given to a request that lacks them."""
        data = body if body is not None else await request.read()
        async with self._ask(request, data, headers or {}) as answer:
            return web.Response(status=answer.status, body=await answer.read(), headers=kept(answer))

    def _ask(
        self, request: web.Request, data: bytes, headers: dict[str, str]
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        sent = {**headers, **request.headers}
        sent.pop("Content-Length", None)
        sent["Accept-Encoding"] = "identity"
        url = self.upstream + request.raw_path
        return self.session.request(request.method, url, data=data, headers=sent, allow_redirects=False)


def kept(answer: aiohttp.ClientResponse) -> dict[str, str]:
    """The headers of an answer that are passed on."""
    return {key: value for key, value in answer.headers.items() if key.title() not in NOT_FORWARDED}


async def main() -> None:
    """Serve until killed."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
        ingress = Ingress(os.environ["LIES"], os.environ["UPSTREAM"], session)
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", ingress.handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "0.0.0.0", int(os.environ["PORT"])).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
