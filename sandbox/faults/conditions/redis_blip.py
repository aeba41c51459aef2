"""Redis was away for a moment and is back: whoever needed it has started anew."""

import asyncio

from sandbox.faults.acts.outside import switch
from sandbox.faults.acts.restart import restart
from sandbox.faults.acts.scale import CACHER
from sandbox.handle import Sandbox

SECONDS = 1.0


async def break_(sandbox: Sandbox) -> None:
    await switch(sandbox, "redis", running=False)
    await asyncio.sleep(SECONDS)
    await switch(sandbox, "redis", running=True)
    await restart(sandbox, CACHER, "Loop took")  # it may have died of it, and wait


async def heal(sandbox: Sandbox) -> None:
    """It is healed already."""
