"""Another team's pods hold every GPU.

Sign: their requests, and the phase of the pods.
"""

from sandbox.client import Client
from sandbox.faults.acts import gpus
from sandbox.faults.acts.public import public
from sandbox.faults.acts.until import pods_gone, until
from sandbox.handle import Sandbox

NAMESPACE = "research"
LABELS = {"app": "training"}


async def break_(sandbox: Sandbox) -> None:
    hardware = gpus.hardware(sandbox)
    count = str(len(hardware["gpus"]))
    container = {
        "name": "training",
        "image": sandbox.vllm_image,
        "command": ["sleep", "infinity"],
        "resources": {"limits": {hardware["resource"]: count}},
    }
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        await client.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        for folder in gpus.folders(sandbox):
            spec = {
                "nodeSelector": {"kubernetes.io/hostname": folder.name},
                "tolerations": [{"operator": "Exists"}],
                "containers": [container],
                "automountServiceAccountToken": False,
                "terminationGracePeriodSeconds": 0,
            }
            meta = {"name": f"training-{folder.name}", "labels": LABELS}
            await client.create(f"/api/v1/namespaces/{NAMESPACE}/pods", {"metadata": meta, "spec": spec})

        async def running() -> bool:
            found = await client.list(f"/api/v1/namespaces/{NAMESPACE}/pods")
            return all(pod["status"]["phase"] == "Running" for pod in found)

        await until(running, f"the pods in {NAMESPACE} run")
    public(sandbox, "gpus-in-use", f"pod/{NAMESPACE}/training-gpu-1", f"{count} of {count} GPUs")


async def heal(sandbox: Sandbox) -> None:
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        await client.delete(f"/api/v1/namespaces/{NAMESPACE}")
        await pods_gone(client, NAMESPACE, "app=training")
