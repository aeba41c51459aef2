"""SQS cannot be reached: its address refuses connections, and the builder has been started anew since.

Sign: the builder's log says "Cannot connect". One that was connected says nothing; its last word stays "ready.".
"""

from sandbox.faults.acts.outside import switch
from sandbox.faults.acts.public import public
from sandbox.faults.acts.restart import restart
from sandbox.faults.acts.scale import BUILDER
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    await switch(sandbox, "sqs", running=False)
    await restart(sandbox, BUILDER, "Cannot connect to sqs://")
    public(sandbox, "broker-unreachable", "sqs", "Could not connect to the endpoint URL")


async def heal(sandbox: Sandbox) -> None:
    await switch(sandbox, "sqs", running=True)
    await restart(sandbox, BUILDER, "ready.")
