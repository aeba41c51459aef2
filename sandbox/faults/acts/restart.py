"""Start the pods of one of the control plane's Deployments anew, as ``kubectl rollout restart`` does, only faster."""

from __future__ import annotations

import json

from sandbox.client import Client
from sandbox.faults.acts.scale import running
from sandbox.faults.acts.until import until
from sandbox.handle import Sandbox


async def restart(sandbox: Sandbox, word: str, said: str) -> None:
    """Delete the pods of the Deployment that runs `word`; return once a new one has `said`."""
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        labels = (await running(client, sandbox.namespace, word))["spec"]["selector"]["matchLabels"]
        pods = f"/api/v1/namespaces/{sandbox.namespace}/pods"
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        old = [pod["metadata"]["name"] for pod in await client.list(pods, labelSelector=selector)]
        for name in old:
            await client.delete(f"{pods}/{name}", gracePeriodSeconds=0)

        async def spoken() -> bool:
            for pod in await client.list(pods, labelSelector=selector):
                started = [one for one in pod["status"].get("containerStatuses", []) if one.get("containerID")]
                if pod["metadata"]["name"] not in old and started:
                    log = await client.request("GET", f"{pods}/{pod['metadata']['name']}/log")
                    return any(said in message(line) for line in log.splitlines())
            return False

        await until(spoken, f"the pods of {word} say what they should")


def message(line: str) -> str:
    """The message of a log line; a line that is no JSON is one."""
    try:
        return str(json.loads(line)["message"])
    except (ValueError, KeyError, TypeError):
        return line
