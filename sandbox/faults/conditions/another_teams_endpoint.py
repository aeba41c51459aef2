"""Another team has an endpoint. The builder logged errors of the logger asyncio when it made it, which mean nothing."""

from sandbox.faults.acts import another_team
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    await another_team.create(sandbox, "chat-of-another-team")
    await another_team.ready(sandbox)


async def heal(sandbox: Sandbox) -> None:
    await another_team.remove(sandbox)
