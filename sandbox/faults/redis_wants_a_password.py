"""Redis has been given a password that the release does not know; every connection was cut for it.

Sign: Redis answers NOAUTH. Logs say so once an endpoint exists; a program that is started anew says nothing at all.
"""

from sandbox.faults.acts.outside import redis_commands
from sandbox.faults.acts.public import public
from sandbox.faults.acts.restart import restart
from sandbox.faults.acts.scale import CACHER
from sandbox.handle import Sandbox

PASSWORD = "set-by-another-team"


async def break_(sandbox: Sandbox) -> None:
    await redis_commands(sandbox, ("CONFIG", "SET", "requirepass", PASSWORD), ("CLIENT", "KILL", "TYPE", "normal"))
    public(sandbox, "redis-wants-a-password", "redis", "NOAUTH Authentication required.")


async def heal(sandbox: Sandbox) -> None:
    await redis_commands(sandbox, ("CONFIG", "SET", "requirepass", ""), password=PASSWORD)
    await restart(sandbox, CACHER, "Loop took")  # it may have died of it, and wait
