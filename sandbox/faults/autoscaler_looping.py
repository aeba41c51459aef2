"""Somebody's Deployment in the endpoints' namespace bears the autoscaler's annotation, and not the others it needs.

Sign: the autoscaler's log says "Error in deployment loop" every 3 s; its pods stay ready.
"""

from sandbox.client import Client
from sandbox.faults.acts import autoscaler
from sandbox.faults.acts.deployment import somebodys
from sandbox.faults.acts.public import public
from sandbox.faults.acts.until import until
from sandbox.handle import Sandbox

NAME = "somebodys-worker"
PREFIX = "celery.scaleml.autoscaler/"


async def break_(sandbox: Sandbox) -> None:
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        running = await autoscaler.found(client, sandbox)
        variables = running["spec"]["template"]["spec"]["containers"][0]["env"]
        broker = next(one["value"] for one in variables if one["name"] == "BROKER_NAME")
        theirs = somebodys(
            NAME,
            {"app": NAME},
            "registry.local/somebodys-worker:1",
            replicas=0,
            annotations={f"{PREFIX}broker": broker},
        )
        await client.create(deployments(sandbox), theirs)
        pods = f"/api/v1/namespaces/{sandbox.namespace}/pods"
        name = running["metadata"]["name"]

        async def told() -> bool:
            for pod in await client.list(pods, labelSelector=f"app={name}"):
                path = f"{pods}/{pod['metadata']['name']}/log"
                if "Error in deployment loop" in await client.request("GET", path, params={"tailLines": "5"}):
                    return True
            return False

        await until(told, "the autoscaler's loop ends with an error")
    public(sandbox, "autoscaler-looping", f"statefulset/{sandbox.namespace}/{name}", "Error in deployment loop")


async def heal(sandbox: Sandbox) -> None:
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        await client.delete(f"{deployments(sandbox)}/{NAME}")


def deployments(sandbox: Sandbox) -> str:
    """Where endpoints' Deployments are."""
    return f"/apis/apps/v1/namespaces/{sandbox.endpoint_namespace}/deployments"
