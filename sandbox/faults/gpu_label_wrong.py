"""The label by which the product's templates choose a GPU node has a value that the product does not know.

Sign: the nodes' labels.
"""

from sandbox.faults.acts import gpus
from sandbox.faults.acts.public import public
from sandbox.handle import Sandbox

VALUES = {"nvidia": "a10g", "amd": "mi300x"}


async def break_(sandbox: Sandbox) -> None:
    value = VALUES[gpus.hardware(sandbox)["vendor"]]
    await gpus.patch(sandbox, "gpu-label-wrong", lambda node: {"metadata": {"labels": {gpus.PRODUCT_LABEL: value}}})
    public(sandbox, "gpu-label-wrong", "node/gpu-1", f"{gpus.PRODUCT_LABEL}={value}")


async def heal(sandbox: Sandbox) -> None:
    await gpus.patch_back(sandbox, "gpu-label-wrong")
