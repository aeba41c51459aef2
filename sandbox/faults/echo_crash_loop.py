"""The image was built without the echo server: Python ends with "No module named ...", again and again.

Sign: CrashLoopBackOff of the endpoint's pod.
"""

from sandbox.faults.acts import images
from sandbox.handle import Sandbox

ASIDE = "without "


async def break_(sandbox: Sandbox) -> None:
    def leave_out(listed: images.Images) -> None:
        programs = listed[sandbox.image]["programs"]
        programs[ASIDE + images.ECHO] = programs.pop(images.ECHO)

    images.change(sandbox, leave_out)
    await images.pull(sandbox)


async def heal(sandbox: Sandbox) -> None:
    def put_back(listed: images.Images) -> None:
        programs = listed[sandbox.image]["programs"]
        programs[images.ECHO] = programs.pop(ASIDE + images.ECHO)

    images.change(sandbox, put_back)
    await images.pull(sandbox)
