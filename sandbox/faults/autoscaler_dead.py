"""The autoscaler's image was built without it: Python ends with "No module named ...", again and again.

Sign: CrashLoopBackOff of the autoscaler's pods.
"""

from sandbox.faults.acts import autoscaler, images
from sandbox.handle import Sandbox

MODULE = "model_engine_server.core.celery.celery_autoscaler"


async def break_(sandbox: Sandbox) -> None:
    images.leave_out(sandbox, MODULE)
    await autoscaler.restart(sandbox, ready=False)


async def heal(sandbox: Sandbox) -> None:
    images.put_back(sandbox, MODULE)
    await autoscaler.restart(sandbox, ready=True)
