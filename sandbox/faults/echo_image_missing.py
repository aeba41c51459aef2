"""The registry has lost the image, and so has the node: the control plane runs on, a new endpoint's pod cannot pull it.

Sign: ErrImagePull of the endpoint's pod.
"""

from sandbox.faults.acts import images
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    images.lose(sandbox, sandbox.image)


async def heal(sandbox: Sandbox) -> None:
    images.find(sandbox, sandbox.image)
