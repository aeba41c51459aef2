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
ERROR, DONE = "Error in deployment loop", "Iteration length"
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
        name = running["metadata"]["name"]

        async def told() -> bool:
            return ERROR in await last_words(client, sandbox, name)

        await until(told, "the autoscaler's loop ends with an error")
    public(sandbox, "autoscaler-looping", f"statefulset/{sandbox.namespace}/{name}", ERROR)


async def heal(sandbox: Sandbox) -> None:
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        await client.delete(f"{deployments(sandbox)}/{NAME}")
        name = (await autoscaler.found(client, sandbox))["metadata"]["name"]

        async def passes() -> bool:
            since = (await last_words(client, sandbox, name)).rpartition(ERROR)[2]
            return since.count(DONE) > 1  # the first is of the pass with the error

        await until(passes, "the autoscaler's loop ends without an error")


async def last_words(client: Client, sandbox: Sandbox, name: str) -> str:
    """The end of the autoscaler's log."""
    pods = f"/api/v1/namespaces/{sandbox.namespace}/pods"
    found = await client.list(pods, labelSelector=f"app={name}")
    tail = {"tailLines": "40"}
    return "".join([await client.request("GET", f"{pods}/{pod['metadata']['name']}/log", params=tail) for pod in found])


def deployments(sandbox: Sandbox) -> str:
    """Where endpoints' Deployments are."""
    return f"/apis/apps/v1/namespaces/{sandbox.endpoint_namespace}/deployments"
