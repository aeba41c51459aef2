"""The kubeconfig that the documented release carries in a ConfigMap has no clusters and no users.

Sign: the ConfigMap's data.
"""

from sandbox.faults.acts.kept import change, change_back
from sandbox.faults.acts.public import public
from sandbox.faults.acts.release import config_map
from sandbox.handle import Sandbox

EMPTY = "apiVersion: v1\nkind: Config\nclusters: []\nusers: []\ncontexts: []\n"


async def break_(sandbox: Sandbox) -> None:
    path = await config_map(sandbox, "-config")
    await change(sandbox, "kubeconfig-empty", path, {"data": {"kubeconfig": EMPTY}})
    public(sandbox, "kubeconfig-empty", path, "clusters: []")


async def heal(sandbox: Sandbox) -> None:
    await change_back(sandbox, "kubeconfig-empty")
