"""What the operator of the outside services can do (see ``backends/operator.py``), and what any client of them can."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import aiohttp
import asyncpg  # type: ignore[import-untyped]
import redis.asyncio

from sandbox.handle import Sandbox


async def switch(sandbox: Sandbox, service: str, *, running: bool) -> None:
    """Stop or start `service`: redis, postgres, sqs, servicebus."""
    await _put(sandbox, service, {"running": running})


async def deny(sandbox: Sandbox, *actions: str) -> None:
    """What nobody may do with queues any more, ``*`` for anything; nothing: all may be done again."""
    await _put(sandbox, "sqs/deny", [["*", action] for action in actions])


async def idle(sandbox: Sandbox, seconds: float | None) -> None:
    """How long Service Bus bears a connection without a sign of life; None: as long as always."""
    await _put(sandbox, "servicebus/idle", {"seconds": seconds})


async def _put(sandbox: Sandbox, path: str, body: Any) -> None:
    async with (
        aiohttp.ClientSession(raise_for_status=True) as session,
        session.put(f"{sandbox.operator_url}/{path}", json=body),
    ):
        pass


async def redis_commands(sandbox: Sandbox, *commands: tuple[str, ...], password: str | None = None) -> None:
    """Run `commands` on one connection, which is then closed."""
    client = redis.asyncio.Redis.from_url(
        sandbox.redis_url, password=password, protocol=2, single_connection_client=True
    )
    async with client:
        for command in commands:
            await client.execute_command(*command)  # type: ignore[no-untyped-call]


async def sql(sandbox: Sandbox, *statements: str, database: str | None = None, password: str | None = None) -> None:
    """Run `statements`, in `database` if it is not the product's, with `password` if it is not the known one."""
    address = urlsplit(sandbox.database_url)
    connection = await asyncpg.connect(
        host=address.hostname,
        port=address.port,
        user=address.username,
        password=password or address.password,
        database=database or address.path[1:],
    )
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
