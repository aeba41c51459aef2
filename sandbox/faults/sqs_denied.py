"""The role that the release runs as has lost its rights to SQS, and the builder has been started anew since.

Sign: SQS answers AccessDenied, of which a builder that starts dies.
"""

from sandbox.faults.acts.outside import deny
from sandbox.faults.acts.public import public
from sandbox.faults.acts.restart import restart
from sandbox.faults.acts.scale import BUILDER
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    await deny(sandbox, "*")
    await restart(sandbox, BUILDER, "Unrecoverable error")
    public(sandbox, "sqs-denied", "sqs", "AccessDeniedException")


async def heal(sandbox: Sandbox) -> None:
    await deny(sandbox)
    await restart(sandbox, BUILDER, "ready.")
