"""How the documented gateway tells of an endpoint."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from redis.exceptions import RedisError

from sandbox.model_engine.endpoints import Endpoints
from sandbox.model_engine.store import Row, timestamp


def interfaces(request: Request) -> Endpoints:
    """The application's clients."""
    endpoints: Endpoints = request.app.state.endpoints
    return endpoints


async def shown(endpoints: Endpoints, row: Row) -> dict[str, Any]:
    """One item of the list."""
    return {
        "id": row["id"],
        "name": row["name"],
        "endpoint_type": row["endpoint_type"],
        "status": await status(endpoints, row),
        "metadata": row["endpoint_metadata"],
        "created_at": timestamp(row["created_at"]),
    }


async def status(endpoints: Endpoints, row: Row) -> str:
    """READY once a worker serves; ``unknown`` when a built endpoint's state cannot be read from Redis."""
    if row["endpoint_status"] != "READY":
        return "INITIALIZING"
    try:
        state = await endpoints.cache.read(row["id"])
    except RedisError:
        state = None
    if state is None:
        return "unknown"
    return "READY" if state["deployment_state"]["available_workers"] else "INITIALIZING"
