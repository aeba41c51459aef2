"""Somebody has deleted the namespace for endpoints, with all that the release has in it.

Sign: there is none.
"""

from sandbox.client import Client
from sandbox.faults.acts.kept import put_back, remove
from sandbox.faults.acts.public import public
from sandbox.faults.acts.until import until
from sandbox.handle import Sandbox

KEPT = ("serviceaccounts", "configmaps", "secrets")
GIVEN = {"default", "kube-root-ca.crt"}  # every namespace gets them


async def break_(sandbox: Sandbox) -> None:
    path = f"/api/v1/namespaces/{sandbox.endpoint_namespace}"
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        inside = [
            f"{path}/{kind}/{one['metadata']['name']}"
            for kind in KEPT
            for one in await client.list(f"{path}/{kind}")
            if one["metadata"]["name"] not in GIVEN
        ]
        await remove(sandbox, "endpoint-namespace-gone", [path, *inside])

        async def gone() -> bool:
            found = await client.list("/api/v1/namespaces")
            return sandbox.endpoint_namespace not in [one["metadata"]["name"] for one in found]

        await until(gone, f"{sandbox.endpoint_namespace} is gone")
    public(sandbox, "endpoint-namespace-gone", path, "not found")


async def heal(sandbox: Sandbox) -> None:
    await put_back(sandbox, "endpoint-namespace-gone")
