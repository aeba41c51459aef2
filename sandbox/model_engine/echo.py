"""The echo server that smoke tests deploy as a worker: ``…inference.forwarding.echo_server``.

No handler for SIGTERM, like the product's: as a container's first process it ignores the signal.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from aiohttp import web

from sandbox.model_engine import sse


def answer(body: Any, status: int = 200) -> web.Response:
    """JSON, with the content type that the product's has."""
    return web.Response(body=json.dumps(body).encode(), status=status, content_type="application/json")


async def health(_: web.Request) -> web.Response:
    """Always well."""
    return answer("OK")


async def body_of(request: web.Request) -> dict[str, Any]:
    """The JSON object sent; anything else is the server's error."""
    try:
        return dict(await request.json())
    except ValueError:
        raise web.HTTPInternalServerError(text="Internal Server Error") from None


async def predict(request: web.Request) -> web.Response:
    """The body, after its ``delay`` (seconds) and with its ``status_code``."""
    body = await body_of(request)
    await asyncio.sleep(body.get("delay", 0))
    return answer(body, body.get("status_code", 200))


async def predict_500(request: web.Request) -> web.Response:
    """The body as an error."""
    return answer(await body_of(request), 500)


async def stream(request: web.Request) -> web.StreamResponse:
    """The body as one event."""
    body = await body_of(request)
    answer = web.StreamResponse(headers={"Content-Type": sse.CONTENT_TYPE, **sse.HEADERS})
    await answer.prepare(request)
    await answer.write(sse.event(json.dumps(body)).encode())
    return answer


async def main(host: str, port: int) -> None:
    """Serve for ever."""
    app = web.Application()
    app.add_routes([web.get(path, health) for path in ("/healthz", "/readyz", "/health")])
    app.add_routes([web.post(path, predict) for path in ("/predict", "/v1/chat/completions")])
    app.add_routes([web.post("/predict500", predict_500), web.post("/stream", stream)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=5009)
    parser.add_argument("--num-workers", type=int, default=1)
    options = parser.parse_args()
    asyncio.run(main(options.host, options.port))
