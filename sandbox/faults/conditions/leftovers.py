"""Somebody else's leftovers: a dead endpoint that no gateway knows, its queue, an evicted pod, another run's probe."""

from typing import Any

import aiohttp

from sandbox.client import Client
from sandbox.faults.acts.deployment import somebodys
from sandbox.faults.acts.until import pods_gone
from sandbox.handle import Sandbox

ENDPOINT = "end_c0000000000000000000"
NAME = "launch-endpoint-id-end-c0000000000000000000"
LABELS = {"app": NAME, "endpoint_id": ENDPOINT, "endpoint_name": "smoke-test-echo", "created_by": "somebody"}
PROBE = {"app.kubernetes.io/managed-by": "seatrial", "seatrial.dev/run": "00000000"}


async def break_(sandbox: Sandbox) -> None:
    core, apps = paths(sandbox.endpoint_namespace)
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        await client.create(f"{apps}/deployments", somebodys(NAME, LABELS, "registry.local/was-deleted:1"))
        await client.create(f"{core}/configmaps", {"metadata": {"name": NAME, "labels": LABELS}, "data": {}})
        old = {"seatrial.dev/expires": "2026-01-01T00:00:00Z"}
        metadata = {"name": "seatrial-probe-00000000", "labels": PROBE, "annotations": old}
        await client.create(f"{core}/configmaps", {"metadata": metadata, "data": {}})
        own = paths(sandbox.namespace)[0]
        await client.create(f"{own}/pods", evicted())
        ended = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
        await client.patch(f"{own}/pods/model-engine-evicted/status", {"status": ended})
    await queue(sandbox, "CreateQueue")


async def heal(sandbox: Sandbox) -> None:
    core, apps = paths(sandbox.endpoint_namespace)
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        await client.delete(f"{apps}/deployments/{NAME}")
        for name in (NAME, "seatrial-probe-00000000"):
            await client.delete(f"{core}/configmaps/{name}")
        await client.delete(f"{paths(sandbox.namespace)[0]}/pods/model-engine-evicted", gracePeriodSeconds=0)
        await pods_gone(client, sandbox.endpoint_namespace, f"app={NAME}")
    await queue(sandbox, "DeleteQueue")


def paths(namespace: str) -> tuple[str, str]:
    """The API's paths of a namespace: of the core group, and of apps."""
    return f"/api/v1/namespaces/{namespace}", f"/apis/apps/v1/namespaces/{namespace}"


async def queue(sandbox: Sandbox, action: str) -> None:
    """Make or remove the queue of the dead endpoint."""
    name = f"launch-endpoint-id-{ENDPOINT}"
    headers = {"X-Amz-Target": f"AmazonSQS.{action}", "Authorization": "AWS4-HMAC-SHA256 Credential=somebody/"}
    body = {"QueueName": name, "QueueUrl": f"{sandbox.sqs_url}/123456789012/{name}"}
    async with (
        aiohttp.ClientSession(raise_for_status=True) as session,
        session.post(sandbox.sqs_url, json=body, headers=headers),
    ):
        pass


def evicted() -> dict[str, Any]:
    """What is left of a gateway's pod that its node threw out some time ago."""
    container = {"name": "model-engine", "image": "registry.local/model-engine:of-before", "command": ["serve"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "model-engine-evicted", "labels": {"product": "model-engine", "team": "infra"}},
        "spec": {"containers": [container], "nodeName": "a-node-that-is-gone"},
    }
