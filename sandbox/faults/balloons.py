"""The release's balloons, pods of the lowest priority that keep nodes warm, hold every GPU.

Sign: their requests. Pods of high priority may drive them out; those of the default priority may not.
"""

from sandbox.client import Client
from sandbox.faults import FaultError
from sandbox.faults.acts import gpus, images
from sandbox.faults.acts.public import public
from sandbox.faults.acts.release import fullname
from sandbox.faults.acts.scale import rolled_out
from sandbox.faults.acts.until import pods_gone
from sandbox.handle import Sandbox

IMAGE = "public.ecr.aws/ubuntu/ubuntu:latest"
RESOURCE = "nvidia.com/gpu"  # the chart knows no other, as resource and as the taint that its balloons tolerate


async def break_(sandbox: Sandbox) -> None:
    if any(taint["key"] != RESOURCE for node in await gpus.listed(sandbox) for taint in node["spec"]["taints"]):
        raise FaultError(f"the chart's balloons go to nodes with the taint {RESOURCE} alone")
    images.change(sandbox, lambda listed: listed.update({IMAGE: {"id": f"sha256:{'b' * 64}"}}))
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        await client.create(_collection(sandbox), deployment(sandbox, await fullname(client, sandbox)))
        await rolled_out(client, sandbox.namespace, name(sandbox))
    public(sandbox, "balloons", f"deployment/{sandbox.namespace}/{name(sandbox)}", "4 GPUs")


async def heal(sandbox: Sandbox) -> None:
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        await client.delete(f"{_collection(sandbox)}/{name(sandbox)}", propagationPolicy="Background")
        await pods_gone(client, sandbox.namespace, f"app={name(sandbox)}")


def name(sandbox: Sandbox) -> str:
    """Of the Deployment: the chart's name, not the release's."""
    return f"model-engine-balloon-{sandbox.gpu_type}"


def deployment(sandbox: Sandbox, release: str) -> dict[str, object]:
    """As the chart makes it, one GPU a pod."""
    labels = {"app": name(sandbox), "product": "common-warm-nodes", "team": "infra", "version": "v1"}
    machines = len(gpus.folders(sandbox))
    spec = {
        "nodeSelector": {gpus.PRODUCT_LABEL: sandbox.gpu_type},
        "tolerations": [{"key": RESOURCE, "operator": "Exists", "effect": "NoSchedule"}],
        "containers": [
            {
                "name": "main",
                "image": IMAGE,
                "imagePullPolicy": "IfNotPresent",
                "command": ["/bin/bash", "-c", "while true; do sleep 30; done"],
                "resources": {"limits": {"memory": "28Gi", RESOURCE: "1", "cpu": "4"}},
            }
        ],
        "terminationGracePeriodSeconds": 0,
        "priorityClassName": f"{release}-low-priority",
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name(sandbox), "labels": {"team": "infra", "product": "common-warm-nodes"}},
        "spec": {
            "replicas": machines * len(gpus.hardware(sandbox)["gpus"]),
            "selector": {"matchLabels": {"app": name(sandbox), "version": "v1"}},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def _collection(sandbox: Sandbox) -> str:
    return f"/apis/apps/v1/namespaces/{sandbox.namespace}/deployments"
