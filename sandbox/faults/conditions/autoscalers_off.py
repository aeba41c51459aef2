"""The release has its autoscalers off by its helm values: the gateway's HorizontalPodAutoscaler, and the Celery one."""

from sandbox.client import Client
from sandbox.faults.acts import autoscaler, helm
from sandbox.faults.acts.kept import put_back, remove
from sandbox.faults.acts.scale import GATEWAY, running
from sandbox.faults.acts.until import pods_gone, until
from sandbox.handle import Sandbox

CONDITION = "autoscalers-off"


async def break_(sandbox: Sandbox) -> None:
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        gateway = (await running(client, sandbox.namespace, GATEWAY))["metadata"]["name"]
        celery = (await autoscaler.found(client, sandbox))["metadata"]["name"]
        place = f"namespaces/{sandbox.namespace}"
        paths = [
            f"/apis/autoscaling/v2/{place}/horizontalpodautoscalers/{gateway}",
            f"/apis/apps/v1/{place}/statefulsets/{celery}",
        ]
        await remove(sandbox, CONDITION, paths)
        await pods_gone(client, sandbox.namespace, f"app={celery}")
        await helm.revision(client, sandbox, switch(on=False))


async def heal(sandbox: Sandbox) -> None:
    await put_back(sandbox, CONDITION)
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        await helm.revision(client, sandbox, switch(on=True))

        async def ready() -> bool:
            status = (await autoscaler.found(client, sandbox)).get("status", {})
            return bool(status.get("readyReplicas"))

        await until(ready, "the Celery autoscaler is ready")


def switch(*, on: bool) -> helm.Edit:
    """What the user's values say of both."""

    def edit(config: helm.Config) -> None:
        config.setdefault("autoscaling", {}).setdefault("horizontal", {})["enabled"] = on
        config.setdefault("celery_autoscaler", {})["enabled"] = on

    return edit
