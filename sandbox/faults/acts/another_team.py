"""Another team uses the same deployment: its endpoints, through the gateway."""

from __future__ import annotations

from typing import Any

import aiohttp

from sandbox.faults.acts.images import ECHO
from sandbox.faults.acts.until import until
from sandbox.handle import Sandbox

TEAM = "another-team"  # as a token: the gateway makes its user of it


async def create(sandbox: Sandbox, name: str) -> None:
    """A sync echo endpoint; returns once it is accepted, see `ready`."""
    async with _gateway(sandbox) as gateway:
        repository, _, tag = sandbox.image.rpartition(":")
        command = ["dumb-init", "--", "python", "-m", ECHO, "--port", "5005"]
        flavor: dict[str, Any] = {
            "flavor": "runnable_image",
            "repository": repository,
            "tag": tag,
            "command": command,
            "env": {},
            "protocol": "http",
            "readiness_initial_delay_seconds": 1,
        }
        if sandbox.contract == "released":
            bundle = {"name": name, "schema_location": "TBA", "metadata": {}, "flavor": flavor}
            async with gateway.post("/v2/model-bundles", json=bundle) as made:
                which = {"model_bundle_id": (await made.json())["model_bundle_id"]}
        else:
            which = {"model_bundle": flavor}
        body = {
            "name": name,
            **which,
            "endpoint_type": "sync",
            "cpus": "1",
            "memory": "1Gi",
            "storage": "2Gi",
            "gpus": 0,
            "min_workers": 1,
            "max_workers": 1,
            "per_worker": 1,
            "metadata": {},
            "labels": {"team": TEAM, "product": "chat"},
        }
        await gateway.post("/v1/model-endpoints", json=body)


async def ready(sandbox: Sandbox) -> None:
    """Return once all the team's endpoints are READY."""

    async def all_ready() -> bool:
        return all(one["status"] == "READY" for one in await _endpoints(sandbox))

    await until(all_ready, f"the endpoints of {TEAM} are READY")


async def remove(sandbox: Sandbox) -> None:
    """Delete all the team's endpoints."""
    async with _gateway(sandbox) as gateway:
        for one in await _endpoints(sandbox):
            await gateway.delete(f"/v1/model-endpoints/{one['id']}")


async def _endpoints(sandbox: Sandbox) -> list[dict[str, Any]]:
    async with _gateway(sandbox) as gateway, gateway.get("/v1/model-endpoints") as answer:
        return list((await answer.json())["model_endpoints"])


def _gateway(sandbox: Sandbox) -> aiohttp.ClientSession:
    headers = {"Authorization": f"Bearer {TEAM}"}
    return aiohttp.ClientSession(sandbox.gateway_url, headers=headers, raise_for_status=True)
