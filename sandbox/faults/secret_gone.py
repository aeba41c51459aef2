"""Somebody has deleted the Secret with the database's address; what runs has read it before.

Sign: there is none.
"""

from sandbox.client import Client
from sandbox.faults.acts.kept import put_back, remove
from sandbox.faults.acts.public import public
from sandbox.faults.acts.scale import GATEWAY, running
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        gateway = await running(client, sandbox.namespace, GATEWAY)
    variables = gateway["spec"]["template"]["spec"]["containers"][0]["env"]
    secret = next(one["valueFrom"]["secretKeyRef"] for one in variables if "secretKeyRef" in one.get("valueFrom", {}))
    path = f"/api/v1/namespaces/{sandbox.namespace}/secrets/{secret['name']}"
    await remove(sandbox, "secret-gone", [path])
    public(sandbox, "secret-gone", path, "not found")


async def heal(sandbox: Sandbox) -> None:
    await put_back(sandbox, "secret-gone")
