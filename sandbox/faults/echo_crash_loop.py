"""The image was built without the echo server: Python ends with "No module named ...", again and again.

Sign: CrashLoopBackOff of the endpoint's pod.
"""

from sandbox.faults.acts import images
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    images.leave_out(sandbox, images.ECHO)
    await images.pull(sandbox)


async def heal(sandbox: Sandbox) -> None:
    images.put_back(sandbox, images.ECHO)
    await images.pull(sandbox)
