"""The builder's Deployment has no replicas: what the gateway enqueues is never built.

Sign: the Deployment's replicas (ScaledToZero).
"""

from sandbox.faults.acts.scale import BUILDER, scale
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    await scale(sandbox, BUILDER, 0)


async def heal(sandbox: Sandbox) -> None:
    await scale(sandbox, BUILDER, 1)
