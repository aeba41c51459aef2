"""The role that the release runs as may not make queues in SQS any more; those that are there go on working.

Sign: SQS answers AccessDenied to CreateQueue; nobody has asked for one yet.
"""

from sandbox.faults.acts.outside import deny
from sandbox.faults.acts.public import public
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    await deny(sandbox, "CreateQueue")
    public(sandbox, "queue-create-denied", "sqs", "AccessDeniedException: sqs:createqueue")


async def heal(sandbox: Sandbox) -> None:
    await deny(sandbox)
