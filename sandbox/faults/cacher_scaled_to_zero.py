"""The cacher's Deployment has no replicas: what the cache knows of the endpoints grows old and is gone after a minute.

Sign: the Deployment's replicas (ScaledToZero).
"""

from sandbox.faults.acts.scale import CACHER, scale
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    await scale(sandbox, CACHER, 0)


async def heal(sandbox: Sandbox) -> None:
    await scale(sandbox, CACHER, 1)
