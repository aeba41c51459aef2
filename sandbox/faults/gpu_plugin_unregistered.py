"""Every GPU node is new, and its containers are given no GPUs: the device plug-in runs and never registers.

Sign: the node has no such resource at all; the plug-in's log.
"""

from sandbox.faults.acts import gpus
from sandbox.faults.acts.public import public
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    await gpus.anew(sandbox, runtime=False)
    await gpus.operands_ready(sandbox)
    await gpus.counted(sandbox, None, None)
    public(sandbox, "gpu-plugin-unregistered", "node/gpu-1", "no GPUs in its capacity")


async def heal(sandbox: Sandbox) -> None:
    await gpus.mended(sandbox, "runtime")
