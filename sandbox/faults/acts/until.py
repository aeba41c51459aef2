"""Break and heal return when the fault is in force, or gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from sandbox.client import Client

SECONDS = 60.0


async def until(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    """Return once `holds` does; TimeoutError naming `what` after a minute."""
    deadline = time.monotonic() + SECONDS
    while not await holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: still not so after {SECONDS:.0f} s")
        await asyncio.sleep(0.05)


async def pods_gone(client: Client, namespace: str, selector: str) -> None:
    """Return once no pod matches."""

    async def none() -> bool:
        return not await client.list(f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector)

    await until(none, f"no pod with {selector}")
