"""No GPU node has any label by which one knows a GPU: nobody found the devices. The operands leave, the taint stays.

Sign: the nodes' labels; of the GPUs none is allocatable once the device plug-in has left.
"""

import re
from typing import Any

from sandbox.faults.acts import gpus
from sandbox.faults.acts.public import public
from sandbox.handle import Sandbox

SPEAKS_OF_GPUS = re.compile(r"gpu|accelerator|nvidia|pci-10de|amd[.-]|_10de")


def without(node: dict[str, Any]) -> dict[str, Any]:
    """The patch that takes them away."""
    return {"metadata": {"labels": {key: None for key in node["metadata"]["labels"] if SPEAKS_OF_GPUS.search(key)}}}


async def break_(sandbox: Sandbox) -> None:
    await gpus.patch(sandbox, "gpu-label-missing", without)
    await gpus.counted(sandbox, "2", "0")
    public(sandbox, "gpu-label-missing", "node/gpu-1", "no label of a GPU")


async def heal(sandbox: Sandbox) -> None:
    await gpus.patch_back(sandbox, "gpu-label-missing")
    await gpus.whole(sandbox)
