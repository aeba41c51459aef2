"""After an upgrade the ConfigMap of inference frameworks still names the tag of before: only an install writes it.

Sign: the ConfigMap's data.
"""

from sandbox.faults.acts.kept import change, change_back
from sandbox.faults.acts.public import public
from sandbox.faults.acts.release import config_map
from sandbox.handle import Sandbox

TAG = "0.0.1-of-before"


async def break_(sandbox: Sandbox) -> None:
    path = await config_map(sandbox, "-inference-framework-latest-config")
    await change(sandbox, "inference-frameworks-stale", path, {"data": {"vllm": TAG}})
    public(sandbox, "inference-frameworks-stale", path, f"vllm: {TAG}")


async def heal(sandbox: Sandbox) -> None:
    await change_back(sandbox, "inference-frameworks-stale")
