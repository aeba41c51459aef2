"""The vLLM image is another build under the same tag, and takes more than its container's memory: it is killed.

Sign: the endpoint's pod has ended with OOMKilled.
"""

from sandbox.faults.acts import gpus, images
from sandbox.handle import Sandbox

SERVER = "vllm_server"
GREEDY = " --host-memory 64"  # GiB


async def break_(sandbox: Sandbox) -> None:
    images.change(sandbox, lambda listed: push(listed, sandbox.vllm_image, add=GREEDY))
    await on_gpu_nodes(sandbox)


async def heal(sandbox: Sandbox) -> None:
    images.change(sandbox, lambda listed: push(listed, sandbox.vllm_image, remove=GREEDY))
    await on_gpu_nodes(sandbox)


def push(listed: images.Images, image: str, add: str = "", remove: str = "") -> None:
    """The image anew, its server begun with other options."""
    programs = listed[image]["programs"]
    programs[SERVER] = programs[SERVER].removesuffix(remove) + add


async def on_gpu_nodes(sandbox: Sandbox) -> None:
    """Have each of them pull it anew."""
    for folder in gpus.folders(sandbox):
        await images.pull(sandbox, sandbox.vllm_image, folder.name)
