"""Where the release's objects are: the chart calls them by its fullname."""

from sandbox.client import Client
from sandbox.faults.acts.scale import CACHER, running
from sandbox.handle import Sandbox


async def fullname(client: Client, sandbox: Sandbox) -> str:
    """The chart's fullname: the cacher is called so in both contracts, with ``-cacher`` behind it."""
    found = await running(client, sandbox.namespace, CACHER)
    return str(found["metadata"]["name"]).removesuffix("-cacher")


async def config_map(sandbox: Sandbox, suffix: str, namespace: str = "") -> str:
    """The API path of one of the release's ConfigMaps, in its own namespace if no other is given."""
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        name = await fullname(client, sandbox) + suffix
    return f"/api/v1/namespaces/{namespace or sandbox.namespace}/configmaps/{name}"
