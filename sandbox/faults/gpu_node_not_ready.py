"""The kubelet of every GPU node has stopped: nobody knows how it is there. Capacity and allocatable stay as they were.

Sign: the nodes' condition Ready is Unknown.
"""

import asyncio
from datetime import UTC, datetime
from typing import Any

from sandbox.client import Client
from sandbox.faults.acts import gpus
from sandbox.faults.acts.public import public
from sandbox.faults.acts.until import until
from sandbox.handle import Sandbox

KUBELETS = ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready")
TEXT = "Kubelet stopped posting node status."


async def break_(sandbox: Sandbox) -> None:
    await gpus.switch(sandbox, gpus.SILENT, there=True)
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        for path in gpus.nodes(sandbox):
            await unknown(client, path)
    public(sandbox, "gpu-node-not-ready", "node/gpu-1", TEXT)


async def heal(sandbox: Sandbox) -> None:
    await gpus.switch(sandbox, gpus.SILENT, there=False)

    async def ready() -> bool:
        found = [node["status"]["conditions"] for node in await gpus.listed(sandbox)]
        return all(one["status"] == "True" for conditions in found for one in conditions if one["type"] == "Ready")

    await until(ready, "the GPU nodes are ready")
    await gpus.whole(sandbox)


async def unknown(client: Client, node: str) -> None:
    """What the controller that looks after nodes writes, once a kubelet has been silent for 40 s."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    told: dict[str, Any] = {
        "status": "Unknown",
        "reason": "NodeStatusUnknown",
        "message": TEXT,
        "lastTransitionTime": now,
    }
    conditions = [{"type": kind, **told} for kind in KUBELETS]
    await client.patch(f"{node}/status", {"status": {"conditions": conditions}}, "strategic")
    unready = {"type": "Ready", "status": "False", "lastTransitionTime": now}
    listed = await client.list("/api/v1/pods", fieldSelector=f"spec.nodeName={node.rpartition('/')[2]}")
    await asyncio.gather(
        *(
            client.patch(
                f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}/status",
                {"status": {"conditions": [unready]}},
                "strategic",
            )
            for pod in listed
        )
    )
