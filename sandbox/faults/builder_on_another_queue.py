"""The builder listens to a queue that the gateway does not send to: it lives, and what is asked for is never built.

Sign: the builder's command line; its queue's depth once something is asked for.
"""

from sandbox.client import Client
from sandbox.faults.acts.public import public
from sandbox.faults.acts.restart import speaks
from sandbox.faults.acts.scale import BUILDER, rolled_out, running
from sandbox.handle import Sandbox

OPTION = "--queues=model-engine-service-builder"
ANOTHER = "--queues=model-engine-service-builder-of-before"


async def break_(sandbox: Sandbox) -> None:
    await replace(sandbox, OPTION, ANOTHER)
    public(sandbox, "builder-on-another-queue", f"deployment/{sandbox.namespace}", ANOTHER)


async def heal(sandbox: Sandbox) -> None:
    await replace(sandbox, ANOTHER, OPTION)


async def replace(sandbox: Sandbox, old: str, new: str) -> None:
    """Change one word of the builder's command line; returns once a builder with it is ready."""
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        builder = await running(client, sandbox.namespace, BUILDER)
        name, container = builder["metadata"]["name"], builder["spec"]["template"]["spec"]["containers"][0]
        changed = {"name": container["name"], "args": [new if word == old else word for word in container["args"]]}
        patch = {"spec": {"template": {"spec": {"containers": [changed]}}}}
        await client.patch(f"/apis/apps/v1/namespaces/{sandbox.namespace}/deployments/{name}", patch, kind="strategic")
        await rolled_out(client, sandbox.namespace, name)
        await speaks(client, sandbox, BUILDER, "ready.")
