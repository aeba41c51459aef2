"""Scale one of the control plane's Deployments, found by what its container runs, as the suite finds it."""

from __future__ import annotations

from typing import Any

from sandbox.client import Client
from sandbox.faults.acts.until import pods_gone, until
from sandbox.handle import Sandbox

GATEWAY = "start_fastapi_server"
BUILDER = "--app=model_engine_server.service_builder"
CACHER = "entrypoints.k8s_cache"


async def running(client: Client, namespace: str, word: str) -> dict[str, Any]:
    """The Deployment whose first container has `word` in its command line."""
    for deployment in await client.list(f"/apis/apps/v1/namespaces/{namespace}/deployments"):
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        if word in " ".join([*container.get("command", []), *container.get("args", [])]):
            return deployment
    raise LookupError(f"no Deployment in {namespace} runs {word}")


async def scale(sandbox: Sandbox, word: str, replicas: int) -> None:
    """Return once the Deployment that runs `word` has `replicas` available pods, and no others."""
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        deployment = await running(client, sandbox.namespace, word)
        path = f"/apis/apps/v1/namespaces/{sandbox.namespace}/deployments/{deployment['metadata']['name']}"
        await client.patch(f"{path}/scale", {"spec": {"replicas": replicas}})
        if replicas == 0:
            labels = deployment["spec"]["selector"]["matchLabels"]
            await pods_gone(client, sandbox.namespace, ",".join(f"{key}={value}" for key, value in labels.items()))

        async def available() -> bool:
            status = (await client.get(path)).get("status", {})
            return bool(status.get("availableReplicas", 0) == replicas)

        await until(available, f"{deployment['metadata']['name']} has {replicas} available pods")


async def rolled_out(client: Client, namespace: str, name: str) -> None:
    """Return once all pods of a Deployment are of its newest template, ready, and no others are left.

    Those that are ending count: a builder that ends may still take a message from its queue, and never give it back.
    """

    async def complete() -> bool:
        found = await client.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")
        status, wanted = found.get("status", {}), found["spec"]["replicas"]
        counts = [status.get(f"{which}Replicas", 0) for which in ("updated", "available")] + [status.get("replicas", 0)]
        if status.get("observedGeneration") != found["metadata"]["generation"] or counts != [wanted] * 3:
            return False
        selector = ",".join(f"{key}={value}" for key, value in found["spec"]["selector"]["matchLabels"].items())
        return len(await client.list(f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector)) == wanted

    await until(complete, f"{name} has rolled out")
