"""Redis has become a replica, as after a failover that the release's address did not follow: it takes no writes.

Sign: Redis answers a write with READONLY.
"""

from sandbox.faults.acts.outside import redis_commands
from sandbox.faults.acts.public import public
from sandbox.faults.acts.restart import restart
from sandbox.faults.acts.scale import CACHER
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    await redis_commands(sandbox, ("REPLICAOF", "127.0.0.1", "1"))
    public(sandbox, "redis-readonly", "redis", "READONLY You can't write against a read only replica.")


async def heal(sandbox: Sandbox) -> None:
    await redis_commands(sandbox, ("REPLICAOF", "NO", "ONE"))
    await restart(sandbox, CACHER, "Loop took")  # it may have died of it, and wait
