"""Every GPU has errors in its memory that ECC could not correct, under a device plug-in that does not notice.

Sign: whatever asks a GPU in a pod. The GPUs stay allocatable.
"""

from sandbox.faults.acts import gpus
from sandbox.faults.acts.public import public
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    gpus.tell(sandbox, uncorrected=3)
    public(sandbox, "gpu-memory-errors", "node/gpu-1", "uncorrected memory errors")


async def heal(sandbox: Sandbox) -> None:
    gpus.tell(sandbox, uncorrected=0)
