"""The web application that both contracts' gateways are: health routes, the 500 answer, the clients it lives with."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.middleware.base import BaseHTTPMiddleware

from sandbox.client import Client
from sandbox.model_engine import config, loggers, task_queue
from sandbox.model_engine.endpoints import Endpoints
from sandbox.model_engine.infra_cache import InfraCache
from sandbox.model_engine.records import Records
from sandbox.model_engine.store import Store
from sandbox.model_engine.unhandled import answer_unhandled

PORT = 5000


@contextlib.asynccontextmanager
async def clients(app: FastAPI) -> AsyncIterator[None]:
    """``app.state.endpoints`` for the application's life; nothing connects before it is needed."""
    store = Store()
    cache = InfraCache(config.cache_redis_url(), health_check=True)
    async with Client.in_cluster() as kubernetes:
        results = task_queue.results_backend()
        builds, tasks = (
            task_queue.celery_app(broker, results)
            for broker in (task_queue.infra_broker(), task_queue.inference_broker())
        )
        app.state.endpoints = Endpoints(store, Records(store), cache, kubernetes, builds, tasks)
        yield
        await cache.aclose()


def application(*, openapi: bool) -> FastAPI:
    """The application without its contract's routes. `openapi`: whether it serves its own description."""
    app = FastAPI(
        title="launch",
        version="1.0.0",
        redoc_url="/api" if openapi else None,
        openapi_url="/openapi.json" if openapi else None,
        lifespan=clients,
    )
    app.add_exception_handler(NotImplementedError, not_part_of_the_sandbox)
    app.add_middleware(BaseHTTPMiddleware, dispatch=answer_unhandled)
    for path in ("/healthcheck", "/healthz", "/readyz"):
        app.add_api_route(path, healthcheck, methods=["GET"])
    return app


def not_part_of_the_sandbox(request: Request, error: Exception) -> Response:
    """What no check needed yet says so by its name."""
    return JSONResponse({"detail": f"{error} is not part of the sandbox"}, status_code=501)


def healthcheck() -> Response:
    """Constant: it looks at nothing."""
    return Response(status_code=200)


def serve(app: FastAPI) -> None:
    """Run until SIGTERM; the log begins as the product's does."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--host", default="0.0.0.0")
    arguments.add_argument("--port", type=int, default=PORT)
    where = arguments.parse_args()
    loggers.log_start()
    uvicorn.run(app, host=where.host, port=where.port)
