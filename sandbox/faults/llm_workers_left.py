"""DELETE of an LLM endpoint removes its Deployment and leaves the workers, which hold their GPUs.

Sign: the first such answer.
"""

from sandbox.client import Client
from sandbox.faults.ingress.front import lie
from sandbox.handle import Sandbox

break_, take_away = lie("llm-workers-left")


async def heal(sandbox: Sandbox) -> None:
    """What was left goes, too: nobody owns it."""
    await take_away(sandbox)
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        sets = f"/apis/apps/v1/namespaces/{sandbox.endpoint_namespace}/replicasets"
        for one in await client.list(sets):
            if not one["metadata"].get("ownerReferences"):
                await client.delete(f"{sets}/{one['metadata']['name']}")
