"""The GPU pool has no node: pods that ask for GPUs wait until the cluster's autoscaler has brought its nodes.

`heal` is the autoscaler: it says so at every pod that waits for GPUs (TriggeredScaleUp); some seconds later they join.
"""

import asyncio
import time
from typing import Any

from sandbox.client import Client
from sandbox.faults.acts import gpus
from sandbox.faults.conditions.pool_at_zero import SECONDS, event
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    await gpus.switch(sandbox, gpus.OFF, there=True)


async def heal(sandbox: Sandbox) -> None:
    resource = gpus.hardware(sandbox)["resource"]
    told: set[str] = set()
    end = time.monotonic() + SECONDS * sandbox.time_scale
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        while time.monotonic() < end:
            for pod in await client.list("/api/v1/pods", fieldSelector="status.phase=Pending"):
                meta = pod["metadata"]
                if meta["uid"] not in told and not pod["spec"].get("nodeName") and asks(pod, resource):
                    told.add(meta["uid"])
                    message = "pod triggered scale-up: [{gpu-pool 0->1 (max: 2)}]"
                    await client.create(f"/api/v1/namespaces/{meta['namespace']}/events", event(pod, message))
            await asyncio.sleep(0.2)
    await gpus.switch(sandbox, gpus.OFF, there=False)
    await gpus.whole(sandbox)


def asks(pod: dict[str, Any], resource: str) -> bool:
    """Whether any of its containers asks for this resource."""
    return any(resource in container.get("resources", {}).get("limits", {}) for container in pod["spec"]["containers"])
