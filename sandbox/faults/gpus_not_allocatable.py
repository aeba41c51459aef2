"""Every GPU has fallen ill, and the device plug-in says so: the node has them, and none is allocatable.

Sign: the node's status.
"""

from sandbox.faults.acts import gpus
from sandbox.faults.acts.public import public
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    gpus.tell(sandbox, healthy=False)
    await gpus.counted(sandbox, "2", "0")
    public(sandbox, "gpus-not-allocatable", "node/gpu-1", "2 GPUs, none allocatable")


async def heal(sandbox: Sandbox) -> None:
    gpus.tell(sandbox, healthy=True)
    await gpus.counted(sandbox, "2", "2")
