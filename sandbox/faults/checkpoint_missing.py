"""There are no weights at the checkpoint path: the released gateway refuses the create, else the worker finds none.

Sign: the store's list of what is there.
"""

from sandbox.faults.acts import weights
from sandbox.faults.acts.public import public
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    await weights.take_away(sandbox, "checkpoint-missing")
    public(sandbox, "checkpoint-missing", sandbox.checkpoint_path, "no such objects")


async def heal(sandbox: Sandbox) -> None:
    await weights.put_back(sandbox, "checkpoint-missing")
