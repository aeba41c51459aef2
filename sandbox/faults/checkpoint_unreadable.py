"""All may see that the weights are there, and nobody may read them: the gateway is content, the worker is denied.

Sign: the bucket's policy.
"""

from sandbox.faults.acts import weights
from sandbox.faults.acts.public import public
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    bucket, prefix = weights.place(sandbox)
    resource = f"arn:aws:s3:::{bucket}/{prefix}/*"
    await weights.set_policy(
        sandbox, {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": resource}
    )
    public(sandbox, "checkpoint-unreadable", resource, "AccessDenied")


async def heal(sandbox: Sandbox) -> None:
    await weights.set_policy(sandbox)
