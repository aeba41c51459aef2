"""The Redis user that the cache uses may read and not write: an access list was tightened.

Sign: Redis answers a write with NOPERM. The cacher touches Redis only while there is an endpoint, and then dies of it.
"""

from sandbox.faults.acts.outside import redis_commands
from sandbox.faults.acts.public import public
from sandbox.faults.acts.restart import restart
from sandbox.faults.acts.scale import CACHER
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    await redis_commands(sandbox, ("ACL", "SETUSER", "default", "-set"))
    said = "NOPERM this user has no permissions to run the 'set' command or its subcommand"
    public(sandbox, "cacher-without-redis-rights", "redis", said)


async def heal(sandbox: Sandbox) -> None:
    await redis_commands(sandbox, ("ACL", "SETUSER", "default", "+@all"))
    await restart(sandbox, CACHER, "Loop took")  # it may have died of it, and wait
