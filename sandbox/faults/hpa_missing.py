"""Somebody has deleted the gateway's HorizontalPodAutoscaler: it stays at one pod, however many requests there are.

Sign: there is none.
"""

from sandbox.client import Client
from sandbox.faults.acts.kept import put_back, remove
from sandbox.faults.acts.public import public
from sandbox.faults.acts.scale import GATEWAY, running
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        gateway = (await running(client, sandbox.namespace, GATEWAY))["metadata"]["name"]
    path = f"/apis/autoscaling/v2/namespaces/{sandbox.namespace}/horizontalpodautoscalers/{gateway}"
    await remove(sandbox, "hpa-missing", [path])
    public(sandbox, "hpa-missing", path, "not found")


async def heal(sandbox: Sandbox) -> None:
    await put_back(sandbox, "hpa-missing")
