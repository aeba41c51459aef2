"""MIG was switched on for every GPU, and the nodes keep the labels of whole ones.

Sign: whatever asks a GPU in a pod. The GPUs stay allocatable.
"""

from sandbox.faults.acts import gpus
from sandbox.faults.acts.public import public
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    gpus.tell(sandbox, mig="Enabled")
    public(sandbox, "gpu-partitioned", "node/gpu-1", "MIG is enabled")


async def heal(sandbox: Sandbox) -> None:
    gpus.tell(sandbox, mig="Disabled")
