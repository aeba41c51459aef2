"""Every GPU node was started anew, with a kernel that the driver is not built for: no operand, no plug-in gets past it.

Sign: the init container that looks for the driver. Capacity and allocatable are 0.
"""

from sandbox.faults.acts import gpus
from sandbox.faults.acts.public import public
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    await gpus.switch(sandbox, gpus.SILENT, there=True)
    gpus.sign(sandbox, "driver", there=False)
    await gpus.switch(sandbox, gpus.SILENT, there=False)
    await gpus.counted(sandbox, "0", "0")
    await gpus.operands_stuck(sandbox)
    public(sandbox, "gpu-driver-gone-at-boot", "node/gpu-1", "the driver is not loaded")


async def heal(sandbox: Sandbox) -> None:
    await gpus.mended(sandbox, "driver")
