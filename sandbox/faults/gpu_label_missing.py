"""No GPU node has any label by which one knows a GPU: nobody found the devices. The operands leave, the taint stays.

Sign: the nodes' labels; of the GPUs none is allocatable once the device plug-in has left.
"""

from sandbox import words
from sandbox.faults.acts import gpus
from sandbox.faults.acts.public import public
from sandbox.gpu import table
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    meant = words.meaning(sandbox.words)
    signs = table.nodes(meant.vendor, meant.cloud)[0].signs
    await gpus.patch(sandbox, "gpu-label-missing", lambda node: {"metadata": {"labels": dict.fromkeys(signs)}})
    await gpus.counted(sandbox, "2", "0")
    public(sandbox, "gpu-label-missing", "node/gpu-1", "no label of a GPU")


async def heal(sandbox: Sandbox) -> None:
    await gpus.patch_back(sandbox, "gpu-label-missing")
    await gpus.operands_ready(sandbox)
    await gpus.counted(sandbox, "2", "2")
