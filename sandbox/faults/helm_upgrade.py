"""Somebody upgrades the release while it is looked at: a revision more, and every Deployment's pods start anew.

Sign: the new revision, and the Deployments' rollouts.
"""

from sandbox.client import Client
from sandbox.faults.acts import helm
from sandbox.faults.acts.public import public
from sandbox.faults.acts.scale import BUILDER, CACHER, GATEWAY, rolled_out, running
from sandbox.handle import Sandbox

REVISION = "sandbox.seatrial/revision"  # annotation of the pods: what makes them start anew
WORKLOADS = (GATEWAY, BUILDER, CACHER)


async def break_(sandbox: Sandbox) -> None:
    await upgrade(sandbox)


async def heal(sandbox: Sandbox) -> None:
    """It is over; the revision stays."""


async def upgrade(sandbox: Sandbox) -> None:
    """As ``helm upgrade --wait``."""
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        secret = await helm.revision(client, sandbox)
        revision = secret.rpartition(".v")[2]
        public(sandbox, "helm-upgrade", secret, f"revision {revision}")
        names = [(await running(client, sandbox.namespace, word))["metadata"]["name"] for word in WORKLOADS]
        for name in names:
            patch = {"spec": {"template": {"metadata": {"annotations": {REVISION: revision}}}}}
            await client.patch(f"/apis/apps/v1/namespaces/{sandbox.namespace}/deployments/{name}", patch)
        for name in names:
            await rolled_out(client, sandbox.namespace, name)
