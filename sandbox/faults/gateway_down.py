"""The gateway's Deployment has no replicas: its Service refuses every connection.

Sign: the Deployment's replicas (ScaledToZero).
"""

from sandbox.faults.acts.scale import GATEWAY, scale
from sandbox.faults.acts.until import until
from sandbox.faults.ingress.front import answers
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    await scale(sandbox, GATEWAY, 0)
    await until(lambda: answers(sandbox, "/healthz", None), "the gateway's Service refuses connections")


async def heal(sandbox: Sandbox) -> None:
    await scale(sandbox, GATEWAY, 1)
    await until(lambda: answers(sandbox, "/healthz", 200), "the gateway answers")
