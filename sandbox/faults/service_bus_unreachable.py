"""Service Bus cannot be reached: its name leads to where nobody listens, and the builder has been started anew since.

Sign: the builder's log says "Cannot connect".
"""

from sandbox.faults.acts.outside import switch
from sandbox.faults.acts.public import public
from sandbox.faults.acts.restart import restart
from sandbox.faults.acts.scale import BUILDER
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    await switch(sandbox, "servicebus", running=False)
    await restart(sandbox, BUILDER, "Cannot connect to azureservicebus://")
    public(sandbox, "service-bus-unreachable", "servicebus", "Connection refused")


async def heal(sandbox: Sandbox) -> None:
    await switch(sandbox, "servicebus", running=True)
    await restart(sandbox, BUILDER, "ready.")
