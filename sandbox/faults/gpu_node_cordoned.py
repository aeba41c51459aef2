"""Every GPU node is cordoned, as before somebody works on it.

Sign: the nodes' spec.unschedulable.
"""

from sandbox.faults.acts import gpus
from sandbox.faults.acts.public import public
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    await gpus.patch(sandbox, "gpu-node-cordoned", lambda node: {"spec": {"unschedulable": True}})
    public(sandbox, "gpu-node-cordoned", "node/gpu-1", "unschedulable")


async def heal(sandbox: Sandbox) -> None:
    await gpus.patch_back(sandbox, "gpu-node-cordoned")
