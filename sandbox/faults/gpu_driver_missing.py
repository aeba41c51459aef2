"""The GPUs' driver has gone from every GPU node under a device plug-in that does not notice; other operands restart.

Sign: the init container that looks for the driver; then whatever asks a GPU in a pod. The GPUs stay allocatable.
"""

from sandbox.faults.acts import gpus
from sandbox.faults.acts.public import public
from sandbox.handle import Sandbox

PLUGINS = {"nvidia": "nvidia-device-plugin", "amd": "device-plugin"}


async def break_(sandbox: Sandbox) -> None:
    gpus.sign(sandbox, "driver", there=False)
    await gpus.restart_operands(sandbox, but=PLUGINS[gpus.hardware(sandbox)["vendor"]])
    await gpus.operands_stuck(sandbox)
    public(sandbox, "gpu-driver-missing", "node/gpu-1", "the driver is not loaded")


async def heal(sandbox: Sandbox) -> None:
    gpus.sign(sandbox, "driver", there=True)
    await gpus.restart_operands(sandbox, but=PLUGINS[gpus.hardware(sandbox)["vendor"]])
    await gpus.operands_ready(sandbox)
