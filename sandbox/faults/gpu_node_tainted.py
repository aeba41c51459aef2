"""Every GPU node has, beside its own, a taint for another team: what runs goes on, nothing new comes.

Sign: the nodes' taints.
"""

from sandbox.faults.acts import gpus
from sandbox.faults.acts.public import public
from sandbox.faults.no_node_fits import TAINT
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    await gpus.patch(sandbox, "gpu-node-tainted", lambda node: {"spec": {"taints": [*node["spec"]["taints"], TAINT]}})
    public(sandbox, "gpu-node-tainted", "node/gpu-1", f"{TAINT['key']}={TAINT['value']}:{TAINT['effect']}")


async def heal(sandbox: Sandbox) -> None:
    await gpus.patch_back(sandbox, "gpu-node-tainted")
