"""The registry has lost the image, and so has the node: the control plane runs on, a new endpoint's pod cannot pull it.

Sign: ErrImagePull of the endpoint's pod.
"""

from sandbox.faults.acts import images
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    def lose(listed: images.Images) -> None:
        error = {"error": f"{sandbox.image}: not found", "code": "NotFound"}
        listed[sandbox.image] = error | {"lost": listed[sandbox.image]}

    images.change(sandbox, lose)


async def heal(sandbox: Sandbox) -> None:
    def find(listed: images.Images) -> None:
        listed[sandbox.image] = listed[sandbox.image]["lost"]

    images.change(sandbox, find)
