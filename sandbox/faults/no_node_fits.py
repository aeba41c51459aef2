"""Every node is tainted for another team: what is created from now on stays unscheduled, what runs goes on.

Sign: the event FailedScheduling of the endpoint's pod.
"""

from sandbox.client import Client
from sandbox.handle import Sandbox

TAINT = {"key": "dedicated", "value": "another-team", "effect": "NoSchedule"}


async def taint_nodes(sandbox: Sandbox, taint: dict[str, str], *, there: bool) -> None:
    """Give all nodes this taint, or take it from them; what other taints they have stays."""
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        for node in await client.list("/api/v1/nodes"):
            others = [one for one in node["spec"].get("taints", []) if one["key"] != taint["key"]]
            spec = {"taints": [*others, taint] if there else others}
            await client.patch(f"/api/v1/nodes/{node['metadata']['name']}", {"spec": spec})


async def break_(sandbox: Sandbox) -> None:
    await taint_nodes(sandbox, TAINT, there=True)


async def heal(sandbox: Sandbox) -> None:
    await taint_nodes(sandbox, TAINT, there=False)
