"""What builder and cacher write to Redis about an endpoint's objects, and the gateway reads."""

from __future__ import annotations

import json
from typing import Any

import redis.asyncio
from redis.exceptions import AuthenticationError

from sandbox import clock

CACHER_TTL = 60.0
WRITER_TTL = 180.0  # what builder and gateway write
HEALTH_CHECK_RETRIES = 2.8  # seconds


class Connection(redis.asyncio.Connection):
    """Errors in the words of redis-py 4.6, which the product's image has."""

    def _error_message(self, exception: BaseException) -> str:
        number = exception.args[0] if exception.args else ""
        return f"Error {number} connecting to {self.host}:{self.port}. {number}."


class InfraCache:
    """Keys ``launch-k8s-cache:<endpoint id>``; one client for each process."""

    def __init__(self, url: str, *, health_check: bool) -> None:
        """`url`: ``redis://[:password@]host:port/db``. Gateway and cacher have health checks, the builder has none."""
        # RESP 2: the product's client sends no HELLO, on which the error texts depend.
        pool = redis.asyncio.ConnectionPool.from_url(url, connection_class=Connection, protocol=2, retry=None)
        self._redis = redis.asyncio.Redis(connection_pool=pool)
        self._health_check, self._answered = health_check, False

    async def write(self, endpoint_id: str, state: dict[str, Any], ttl: float) -> None:
        """Keep `state` for `ttl` seconds of the sandbox's time."""
        await self._run(
            "SET", f"launch-k8s-cache:{endpoint_id}", json.dumps(state), "PX", int(clock.scaled(ttl) * 1000)
        )

    async def read(self, endpoint_id: str) -> dict[str, Any] | None:
        """The state, None when there is none. redis.exceptions.RedisError when Redis cannot be asked."""
        found = await self._run("GET", f"launch-k8s-cache:{endpoint_id}")
        return None if found is None else dict(json.loads(found))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._redis.aclose(close_connection_pool=True)

    async def _run(self, *command: str | int) -> Any:
        while True:
            try:
                answer = await self._redis.execute_command(*command)  # type: ignore[no-untyped-call]
            except AuthenticationError as error:
                if not self._health_check or str(error) != "Authentication required.":
                    raise
                # In redis-py 4.6 the health check of a new connection retries, connects, checks again: while a password
                # is missing it does not come back. A client that had connections gives up after a while.
                await clock.sleep(HEALTH_CHECK_RETRIES)
                if self._answered:
                    raise
            else:
                self._answered = True
                return answer
