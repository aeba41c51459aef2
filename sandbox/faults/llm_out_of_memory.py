"""The model at the checkpoint path is larger than its GPU: vLLM ends with "out of memory", again and again.

Sign: the endpoint's pod has ended with Error.
"""

from sandbox.faults.acts import weights
from sandbox.handle import Sandbox

LARGE = 811_706_998_784  # bytes: 405 billion parameters of two each


async def break_(sandbox: Sandbox) -> None:
    await weights.resize(sandbox, "llm-out-of-memory", LARGE)


async def heal(sandbox: Sandbox) -> None:
    await weights.put_back(sandbox, "llm-out-of-memory")
