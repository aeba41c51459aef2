"""Every node is tainted for another team: what is created from now on stays unscheduled, what runs goes on.

Sign: the event FailedScheduling of the endpoint's pod.
"""

from sandbox.client import Client
from sandbox.handle import Sandbox

TAINT = {"key": "dedicated", "value": "another-team", "effect": "NoSchedule"}


async def set_taints(sandbox: Sandbox, taints: list[dict[str, str]]) -> None:
    """Give all nodes exactly these taints."""
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        for node in await client.list("/api/v1/nodes"):
            await client.patch(f"/api/v1/nodes/{node['metadata']['name']}", {"spec": {"taints": taints}})


async def break_(sandbox: Sandbox) -> None:
    await set_taints(sandbox, [TAINT])


async def heal(sandbox: Sandbox) -> None:
    await set_taints(sandbox, [])
