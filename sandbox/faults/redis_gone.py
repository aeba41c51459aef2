"""Redis is stopped: its address refuses connections.

Sign: the refused connection.
"""

from sandbox.faults.acts.outside import switch
from sandbox.faults.acts.public import public
from sandbox.faults.acts.restart import restart
from sandbox.faults.acts.scale import CACHER
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    await switch(sandbox, "redis", running=False)
    public(sandbox, "redis-gone", "redis", "Connection refused")


async def heal(sandbox: Sandbox) -> None:
    await switch(sandbox, "redis", running=True)
    await restart(sandbox, CACHER, "Loop took")  # it may have died of it, and wait
