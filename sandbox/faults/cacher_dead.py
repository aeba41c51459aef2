"""The cacher's image was built without it: Python ends with "No module named ...", again and again.

Sign: CrashLoopBackOff of the cacher's pod.
"""

from sandbox.faults.acts import images
from sandbox.faults.acts.restart import restart
from sandbox.faults.acts.scale import CACHER
from sandbox.handle import Sandbox

MODULE = "model_engine_server.entrypoints.k8s_cache"


async def break_(sandbox: Sandbox) -> None:
    images.leave_out(sandbox, MODULE)
    await restart(sandbox, CACHER, "No module named")


async def heal(sandbox: Sandbox) -> None:
    images.put_back(sandbox, MODULE)
    await restart(sandbox, CACHER, "Loop took")
