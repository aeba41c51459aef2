"""Somebody has emptied the release's ConfigMap in its own namespace; what runs has read it before.

Sign: the ConfigMap has no data.
"""

from sandbox.faults.acts.kept import change, change_back
from sandbox.faults.acts.public import public
from sandbox.faults.acts.release import config_map
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    path = await config_map(sandbox, "-service-config")
    await change(sandbox, "configuration-empty", path, {"data": None})
    public(sandbox, "configuration-empty", path, "it has no data")


async def heal(sandbox: Sandbox) -> None:
    await change_back(sandbox, "configuration-empty")
