"""The builder still runs the image of the version before: an upgrade that did not reach all Deployments.

Sign: the tags of the Deployments' images.
"""

from sandbox.client import Client
from sandbox.faults.acts import images
from sandbox.faults.acts.public import public
from sandbox.faults.acts.restart import speaks
from sandbox.faults.acts.scale import BUILDER, rolled_out, running
from sandbox.handle import Sandbox

TAG = "0123456789abcdef0123456789abcdef01234567"


async def break_(sandbox: Sandbox) -> None:
    older = f"{sandbox.image.rpartition(':')[0]}:{TAG}"
    images.change(sandbox, lambda listed: listed.update({older: listed[sandbox.image] | {"id": f"sha256:{TAG:0>64}"}}))
    await set_image(sandbox, older)
    public(sandbox, "two-image-tags", f"deployment/{sandbox.namespace}", older)


async def heal(sandbox: Sandbox) -> None:
    await set_image(sandbox, sandbox.image)


async def set_image(sandbox: Sandbox, image: str) -> None:
    """Have the builder run `image`; returns once no other pod of it does, and it takes tasks."""
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        builder = await running(client, sandbox.namespace, BUILDER)
        name = builder["metadata"]["name"]
        container = builder["spec"]["template"]["spec"]["containers"][0]["name"]
        patch = {"spec": {"template": {"spec": {"containers": [{"name": container, "image": image}]}}}}
        await client.patch(f"/apis/apps/v1/namespaces/{sandbox.namespace}/deployments/{name}", patch, kind="strategic")
        await rolled_out(client, sandbox.namespace, name)
        await speaks(client, sandbox, BUILDER, "ready.")
