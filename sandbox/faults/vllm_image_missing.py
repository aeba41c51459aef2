"""The vLLM image was not mirrored to the registry that the release takes its images from.

Sign: ErrImagePull of any pod that runs it.
"""

from sandbox.faults.acts import images
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    images.lose(sandbox, sandbox.vllm_image)


async def heal(sandbox: Sandbox) -> None:
    images.find(sandbox, sandbox.vllm_image)
