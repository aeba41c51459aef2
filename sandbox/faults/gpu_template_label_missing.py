"""The GPU nodes have their cloud's and their vendor's labels, and lack the one that the product's templates choose by.

Sign: the nodes' labels.
"""

from sandbox.faults.acts import gpus
from sandbox.faults.acts.public import public
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    await gpus.patch(
        sandbox, "gpu-template-label-missing", lambda node: {"metadata": {"labels": {gpus.PRODUCT_LABEL: None}}}
    )
    public(sandbox, "gpu-template-label-missing", "node/gpu-1", f"no label {gpus.PRODUCT_LABEL}")


async def heal(sandbox: Sandbox) -> None:
    await gpus.patch_back(sandbox, "gpu-template-label-missing")
