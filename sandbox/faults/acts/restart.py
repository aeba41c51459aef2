"""Start the pods of one of the control plane's Deployments anew, as ``kubectl rollout restart`` does, only faster."""

from __future__ import annotations

import json

from sandbox.client import Client
from sandbox.faults.acts.scale import running
from sandbox.faults.acts.until import until
from sandbox.handle import Sandbox


async def restart(sandbox: Sandbox, word: str, said: str) -> None:
    """Delete the pods of the Deployment that runs `word`; return once a new one has `said` that."""
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        selector = await selects(client, sandbox, word)
        pods = f"/api/v1/namespaces/{sandbox.namespace}/pods"
        old = {
            pod["metadata"]["uid"]: pod["metadata"]["name"] for pod in await client.list(pods, labelSelector=selector)
        }
        for name in old.values():
            await client.delete(f"{pods}/{name}", gracePeriodSeconds=0)
        await speaks(client, sandbox, word, said, set(old))


async def speaks(client: Client, sandbox: Sandbox, word: str, said: str, old: set[str] | None = None) -> None:
    """Return once a pod of the Deployment that runs `word` has `said` that; those of the uids `old` do not count."""
    selector = await selects(client, sandbox, word)
    pods = f"/api/v1/namespaces/{sandbox.namespace}/pods"

    async def spoken() -> bool:
        for pod in await client.list(pods, labelSelector=selector):
            started = [one for one in pod["status"].get("containerStatuses", []) if one.get("containerID")]
            if started and pod["metadata"]["uid"] not in (old or ()):
                log = await client.request("GET", f"{pods}/{pod['metadata']['name']}/log")
                if any(said in message(line) for line in log.splitlines()):
                    return True
        return False

    await until(spoken, f"a pod that runs {word} says {said!r}")


async def selects(client: Client, sandbox: Sandbox, word: str) -> str:
    """The label selector of the Deployment that runs `word`."""
    labels = (await running(client, sandbox.namespace, word))["spec"]["selector"]["matchLabels"]
    return ",".join(f"{key}={value}" for key, value in labels.items())


def message(line: str) -> str:
    """The message of a log line; a line that is no JSON is one."""
    try:
        return str(json.loads(line)["message"])
    except (ValueError, KeyError, TypeError):
        return line
