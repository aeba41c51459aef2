"""Redis was away for a moment and is back: whoever needed it has started anew, or soon will."""

import asyncio

from sandbox.faults.acts.outside import switch
from sandbox.handle import Sandbox

SECONDS = 1.0


async def break_(sandbox: Sandbox) -> None:
    await switch(sandbox, "redis", running=False)
    await asyncio.sleep(SECONDS)
    await switch(sandbox, "redis", running=True)


async def heal(sandbox: Sandbox) -> None:
    """It is healed already."""
