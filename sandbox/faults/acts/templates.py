"""Change what pods of some of the control plane's Deployments are made from, as ``kubectl edit`` does, only faster."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

from sandbox.client import Client, Object
from sandbox.faults.acts.kept import give_back, keep
from sandbox.faults.acts.scale import rolled_out, running
from sandbox.handle import Sandbox


async def edit(sandbox: Sandbox, fault: str, words: Iterable[str], change: Callable[[Object], None]) -> None:
    """Let `change` edit the pod template of each Deployment that runs one of `words`, and keep what it was.

    Returns once all of their pods are of the new one.
    """
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        found = [await running(client, sandbox.namespace, word) for word in words]
        kept = {one["metadata"]["name"]: copy.deepcopy(one["spec"]["template"]) for one in found}
        keep(sandbox, fault, kept)
        for one in found:
            change(one["spec"]["template"])
        await _write(client, sandbox, {one["metadata"]["name"]: one["spec"]["template"] for one in found})


async def undo(sandbox: Sandbox, fault: str) -> None:
    """Give them back the templates that they had before `edit`."""
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        await _write(client, sandbox, give_back(sandbox, fault))


def set_variable(template: Object, name: str, value: str) -> None:
    """A variable of the first container, in the place of one of that name."""
    container = template["spec"]["containers"][0]
    others = [one for one in container.get("env", []) if one["name"] != name]
    container["env"] = [*others, {"name": name, "value": value}]


async def _write(client: Client, sandbox: Sandbox, templates: dict[str, Object]) -> None:
    pods = f"/api/v1/namespaces/{sandbox.namespace}/pods"
    for name, template in templates.items():
        path = f"/apis/apps/v1/namespaces/{sandbox.namespace}/deployments/{name}"
        deployment = await client.get(path)
        deployment["spec"]["template"] = template
        deployment["metadata"].pop("resourceVersion")
        labels = ",".join(f"{key}={value}" for key, value in deployment["spec"]["selector"]["matchLabels"].items())
        old = await client.list(pods, labelSelector=labels)
        await client.replace(path, deployment)
        for pod in old:  # nobody waits for their grace periods
            await client.delete(f"{pods}/{pod['metadata']['name']}", gracePeriodSeconds=0)
    for name in templates:
        await rolled_out(client, sandbox.namespace, name)
