"""The adapter of the custom metrics is gone: the gateway's HorizontalPodAutoscaler does not know what to scale by.

Sign: the condition ScalingActive is False (FailedGetPodsMetric).
"""

from sandbox.client import Client
from sandbox.faults.acts.kept import put_back, remove
from sandbox.faults.acts.until import until
from sandbox.handle import Sandbox

ADAPTER = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.custom.metrics.k8s.io"


async def break_(sandbox: Sandbox) -> None:
    await remove(sandbox, "hpa-without-metrics", [ADAPTER])
    await scaling_active(sandbox, "False")


async def heal(sandbox: Sandbox) -> None:
    await put_back(sandbox, "hpa-without-metrics")
    await scaling_active(sandbox, "True")


async def scaling_active(sandbox: Sandbox, status: str) -> None:
    """Return once all autoscalers of the namespace say so."""
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        path = f"/apis/autoscaling/v2/namespaces/{sandbox.namespace}/horizontalpodautoscalers"

        async def told() -> bool:
            said = [
                (one["type"], one["status"])
                for autoscaler in await client.list(path)
                for one in autoscaler["status"].get("conditions", [])
            ]
            return ("ScalingActive", status) in said

        await until(told, f"ScalingActive is {status}")
