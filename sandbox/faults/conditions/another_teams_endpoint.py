"""Another team has an endpoint. The builder logged errors of the logger asyncio when it made it, which mean nothing."""

from sandbox.client import Client
from sandbox.faults.acts import another_team
from sandbox.faults.acts.restart import speaks
from sandbox.faults.acts.scale import BUILDER
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    await another_team.create(sandbox, "chat-of-another-team")
    await another_team.ready(sandbox)
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        await speaks(client, sandbox, BUILDER, "Unclosed client session")


async def heal(sandbox: Sandbox) -> None:
    await another_team.remove(sandbox)
