"""The Celery autoscaler, a StatefulSet whose pods are ready as soon as they run."""

from __future__ import annotations

from typing import Any

from sandbox.client import Client
from sandbox.faults.acts.until import until
from sandbox.handle import Sandbox


async def found(client: Client, sandbox: Sandbox) -> dict[str, Any]:
    """The StatefulSet."""
    sets = await client.list(f"/apis/apps/v1/namespaces/{sandbox.namespace}/statefulsets")
    return next(one for one in sets if one["metadata"]["name"].startswith("celery-autoscaler"))


async def restart(sandbox: Sandbox, *, ready: bool) -> None:
    """Have its pods pull their image and start anew; returns once all are ready, or one has crashed."""
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        name = (await found(client, sandbox))["metadata"]["name"]
        path, selector = f"/api/v1/namespaces/{sandbox.namespace}/pods", f"app={name}"
        old = {pod["metadata"]["uid"] for pod in await client.list(path, labelSelector=selector)}
        for pod in await client.list(path, labelSelector=selector):
            await client.delete(f"{path}/{pod['metadata']['name']}", gracePeriodSeconds=0)

        async def so() -> bool:
            pods = await client.list(path, labelSelector=selector)
            states = [
                state
                for pod in pods
                if pod["metadata"]["uid"] not in old
                for state in pod["status"].get("containerStatuses", [])
            ]
            if not ready:
                return any(state["restartCount"] for state in states)
            return len(states) == len(old) and all(state["ready"] for state in states)

        await until(so, f"the pods of {name} have started anew")
