"""Gateway and builder look for SQS in another region than the one that the release is configured for.

Builds still go round, since both look in the same place; the queues of async endpoints are made in the configured
region, and what the gateway sends goes to queues of the same names in the other one.

Sign: AWS_REGION of their pods.
"""

from sandbox.faults.acts.public import public
from sandbox.faults.acts.scale import BUILDER, GATEWAY
from sandbox.faults.acts.templates import edit, set_variable, undo
from sandbox.handle import Sandbox

ANOTHER = "eu-west-1"


async def break_(sandbox: Sandbox) -> None:
    await edit(
        sandbox, "wrong-region", (GATEWAY, BUILDER), lambda template: set_variable(template, "AWS_REGION", ANOTHER)
    )
    public(sandbox, "wrong-region", f"deployment/{sandbox.namespace}", f"AWS_REGION={ANOTHER}")


async def heal(sandbox: Sandbox) -> None:
    await undo(sandbox, "wrong-region")
