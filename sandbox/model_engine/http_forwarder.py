"""The forwarder beside a sync or streaming endpoint's worker: ``…inference.forwarding.http_forwarder``."""

from __future__ import annotations

import argparse
import ast
import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from sandbox.model_engine import sse, user_service
from sandbox.model_engine.loggers import make_logger
from sandbox.model_engine.requests import EndpointPredictV1Request

http_logger = make_logger("http_forwarder")
logger = make_logger("model_engine_server.inference.forwarding.forwarding")


async def forward(url: str, args: Any) -> JSONResponse:
    """The worker's answer as a string in ``result``, with the worker's status."""
    logger.info(f"Accepted request, forwarding json_payload_repr={args.keys()}")
    async with aiohttp.ClientSession() as session, session.post(url, json=args) as answer:
        response = await answer.json(content_type=None)
        return JSONResponse({"result": json.dumps(response)}, status_code=answer.status)


async def follow(url: str, args: Any) -> AsyncIterator[str]:
    """The worker's events, the data of each in ``result``: as what it is, as text when it is no JSON.

    HTTPException with the status of a worker that does not answer 200.
    """
    async with aiohttp.ClientSession() as session, session.post(url, json=args) as answer:
        if answer.status != 200:
            raise HTTPException(answer.status, await answer.json(content_type=None))
        async for data in sse.events(answer):
            yield sse.event(json.dumps({"result": _parsed(data)}))


def _parsed(data: str) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data  # [DONE]


async def followed(first: str, rest: AsyncIterator[str]) -> AsyncIterator[str]:
    """Nothing is answered before there is a first event, which tells whether there will be any."""
    yield first
    async for event in rest:
        yield event


def application(settings: Mapping[str, str]) -> FastAPI:
    """`settings`: what ``--set`` says; the routes are the worker's, and those served."""
    app = FastAPI()
    predict_route = settings["forwarder.sync.predict_route"]
    stream_route = settings.get("forwarder.stream.predict_route")  # of a streaming endpoint's alone

    def healthcheck() -> str:
        return "OK"

    async def predict(request: EndpointPredictV1Request) -> JSONResponse:
        try:
            # A second top-level key, and the product no longer finds the first: it is well and fails every request.
            if "max_concurrency" in settings:
                raise KeyError("sync")
            if request.args is None or not request.args.root:
                raise ValueError("Request has no args")
            return await forward(f"http://localhost:{user_service.PORT}{predict_route}", request.args.root)
        except Exception:
            http_logger.error(f"Failed to decode payload from: {request}")
            raise

    async def streamed(route: str, args: Any) -> StreamingResponse:
        events = follow(f"http://localhost:{user_service.PORT}{route}", args)
        source = followed(await anext(events), events)
        return StreamingResponse(source, headers=sse.HEADERS, media_type=sse.CONTENT_TYPE)

    async def stream(request: EndpointPredictV1Request) -> StreamingResponse:
        assert request.args is not None
        return await streamed(str(stream_route), request.args.root)

    async def predict_or_stream(request: EndpointPredictV1Request, http: Request) -> Response:
        """A route of the worker's own: the task says which of both it is."""
        assert request.args is not None
        route, args = http.url.path, request.args.root
        if args.get("stream"):
            return await streamed(route, args)
        return await forward(f"http://localhost:{user_service.PORT}{route}", args)

    for path in ("/healthz", "/readyz"):
        app.add_api_route(path, healthcheck, methods=["GET"])
    app.add_api_route(predict_route, predict, methods=["POST"])
    if stream_route:
        app.add_api_route(stream_route, stream, methods=["POST"])
    for path in ast.literal_eval(settings["forwarder.sync.routes"]):
        if path != predict_route:
            app.add_api_route(path, predict_or_stream, methods=["POST"], response_model=None)
    return app


async def main(options: argparse.Namespace) -> None:
    """Serve, once the worker does."""
    settings = dict(setting.split("=", 1) for setting in options.set)
    worker = f"localhost:{user_service.PORT}"
    logger.info(f"Forwarding to user-defined service at: {worker}")
    user_service.await_ready(f"http://{worker}{settings['forwarder.sync.healthcheck_route']}", logger)
    app = application(settings)
    await uvicorn.Server(uvicorn.Config(app, host="0.0.0.0", port=options.port)).serve()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True)  # a file of the image: its settings are the defaults here
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--num-workers", type=int, required=True)
    parser.add_argument("--set", action="append", default=[])
    asyncio.run(main(parser.parse_args()))
