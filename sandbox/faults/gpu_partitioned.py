"""MIG was switched on for every GPU, and the nodes keep the labels of whole ones, of a type whose parts have one, too.

Sign: whatever asks a GPU in a pod. The GPUs stay allocatable.
"""

from sandbox.faults.acts import gpus
from sandbox.faults.acts.public import public
from sandbox.handle import Sandbox

FAULT = "gpu-partitioned"
WHOLE = {"metadata": {"labels": {gpus.PRODUCT_LABEL: "nvidia-hopper-h100"}}}


async def break_(sandbox: Sandbox) -> None:
    await gpus.patch(sandbox, FAULT, lambda _: WHOLE)
    gpus.tell(sandbox, mig="Enabled")
    public(sandbox, FAULT, "node/gpu-1", "MIG is enabled")


async def heal(sandbox: Sandbox) -> None:
    gpus.tell(sandbox, mig="Disabled")
    await gpus.patch_back(sandbox, FAULT)
