"""The pool that pods of endpoints need has no node: they wait until the cluster's autoscaler has brought one.

`heal` is the autoscaler: it says so at every waiting pod (TriggeredScaleUp), and some seconds later there is a node.
"""

import asyncio
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from sandbox.client import Client
from sandbox.faults.no_node_fits import taint_nodes
from sandbox.handle import Sandbox

TAINT = {"key": "pool", "value": "at-zero", "effect": "NoSchedule"}
SECONDS = 40.0  # until a node is there
AUTOSCALER = "cluster-autoscaler"
MESSAGE = "pod triggered scale-up: [{eks-cpu-pool 0->1 (max: 3)}]"


async def break_(sandbox: Sandbox) -> None:
    await taint_nodes(sandbox, TAINT, there=True)


async def heal(sandbox: Sandbox) -> None:
    told: set[str] = set()
    end = time.monotonic() + SECONDS * sandbox.time_scale
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        while time.monotonic() < end:
            for pod in await client.list("/api/v1/pods", fieldSelector="status.phase=Pending"):
                if pod["metadata"]["uid"] not in told and not pod["spec"].get("nodeName"):
                    told.add(pod["metadata"]["uid"])
                    await client.create(f"/api/v1/namespaces/{pod['metadata']['namespace']}/events", event(pod))
            await asyncio.sleep(0.2)
    await taint_nodes(sandbox, TAINT, there=False)


def event(pod: dict[str, Any], message: str = MESSAGE) -> dict[str, Any]:
    """What the autoscaler writes at a pod for which it has asked for a node."""
    named, now = pod["metadata"], datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{named['name']}.{uuid.uuid4().hex[:16]}", "namespace": named["namespace"]},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            **{key: named[key] for key in ("name", "namespace", "uid", "resourceVersion")},
        },
        "type": "Normal",
        "reason": "TriggeredScaleUp",
        "message": message,
        "source": {"component": AUTOSCALER},
        "reportingComponent": AUTOSCALER,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
