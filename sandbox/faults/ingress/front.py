"""Put the lying ingress in front of the gateway, and take it away: the gateway's Service selects it instead."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

from sandbox import signs
from sandbox.client import Client
from sandbox.faults import FaultError
from sandbox.faults.acts import images
from sandbox.faults.acts.until import pods_gone, until
from sandbox.handle import Sandbox

NAME, UPSTREAM = "ingress", "ingress-upstream"
IMAGE, PROGRAM = "registry.local/ingress:1", "sandbox.faults.ingress.program"
OWN_PATH = "/.ingress"  # names the lie; the gateway knows no such path
SELECTOR = "sandbox.seatrial/selector"  # annotation: what the Service selected before

Fault = Callable[[Sandbox], Awaitable[None]]


def lie(name: str) -> tuple[Fault, Fault]:
    """`break_` and `heal` of the lie `name`, a key of `LIES`."""

    async def break_(sandbox: Sandbox) -> None:
        await _put(sandbox, name)

    return break_, _take_away


async def _put(sandbox: Sandbox, name: str) -> None:
    images.change(sandbox, lambda listed: listed.update({IMAGE: {"id": "sha256:" + "1" * 64, "programs": {}}}))
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        service = await gateway_service(client, sandbox)
        if SELECTOR in service["metadata"].get("annotations", {}):
            raise FaultError("an ingress lies already: heal that fault first")
        core = f"/api/v1/namespaces/{sandbox.namespace}"
        [port] = service["spec"]["ports"]
        selector = service["spec"]["selector"]
        await client.create(f"{core}/services", _upstream(selector, port))
        pods = await client.list(f"{core}/pods", labelSelector=",".join(f"{k}={v}" for k, v in selector.items()))
        number = next(p["containerPort"] for c in pods[0]["spec"]["containers"] for p in c["ports"])
        env = {
            "LIE": name,
            "UPSTREAM": f"http://{UPSTREAM}:{port['port']}",
            "PORT": str(number),
            "CONTRACT": sandbox.contract,
            "DATABASE_URL": sandbox.database_url,
            "SQS_URL": sandbox.sqs_url,
            "KUBECONFIG": sandbox.kubeconfig,
            "ENDPOINT_NAMESPACE": sandbox.endpoint_namespace,
            "SIGNS": str(Path(sandbox.directory) / signs.FILE),
            "SERVICE": f"service/{sandbox.namespace}/{service['metadata']['name']}",
        }
        await client.create(f"/apis/apps/v1/namespaces/{sandbox.namespace}/deployments", _deployment(env, number))
        change = {
            "metadata": {"annotations": {SELECTOR: json.dumps(selector)}},
            "spec": {"selector": dict.fromkeys(selector) | {"app": NAME}},
        }
        await client.patch(f"{core}/services/{service['metadata']['name']}", change)
    await until(lambda: tells(sandbox, name), f"the ingress tells {name}")


async def _take_away(sandbox: Sandbox) -> None:
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        service = await gateway_service(client, sandbox)
        core = f"/api/v1/namespaces/{sandbox.namespace}"
        selector = json.loads(service["metadata"]["annotations"][SELECTOR])
        change = {
            "metadata": {"annotations": {SELECTOR: None}},
            "spec": {"selector": {"app": None} | selector},
        }
        await client.patch(f"{core}/services/{service['metadata']['name']}", change)
        await until(lambda: answers(sandbox, OWN_PATH, 404), "the gateway itself answers")
        await client.delete(f"/apis/apps/v1/namespaces/{sandbox.namespace}/deployments/{NAME}")
        await client.delete(f"{core}/services/{UPSTREAM}")
        await pods_gone(client, sandbox.namespace, f"app={NAME}")


async def gateway_service(client: Client, sandbox: Sandbox) -> dict[str, Any]:
    """The Service that the gateway's address belongs to."""
    address = sandbox.gateway_url.removeprefix("http://").partition(":")[0]
    services = await client.list(f"/api/v1/namespaces/{sandbox.namespace}/services")
    return next(service for service in services if service["spec"].get("clusterIP") == address)


async def answers(sandbox: Sandbox, path: str, status: int | None) -> bool:
    """Whether the gateway's address answers with `status`; None: refuses the connection."""
    return (await _ask(sandbox, path))[0] == status


async def tells(sandbox: Sandbox, name: str) -> bool:
    """Whether what stands at the gateway's address is the ingress with this lie."""
    return await _ask(sandbox, OWN_PATH) == (200, name)


async def _ask(sandbox: Sandbox, path: str) -> tuple[int | None, str]:
    timeout = aiohttp.ClientTimeout(total=2)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        try:
            async with session.get(sandbox.gateway_url + path) as answer:
                return answer.status, await answer.text()
        except (aiohttp.ClientConnectionError, TimeoutError):
            return None, ""


def _upstream(selector: dict[str, str], port: dict[str, Any]) -> dict[str, Any]:
    """A Service of the gateway's own pods, for the ingress to forward to."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": UPSTREAM},
        "spec": {"selector": selector, "ports": [{"port": port["port"], "targetPort": port["targetPort"]}]},
    }


def _deployment(env: dict[str, str], port: int) -> dict[str, Any]:
    container = {
        "name": NAME,
        "image": IMAGE,
        "command": ["python", "-m", PROGRAM],
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "ports": [{"name": "http", "containerPort": port}],
        "readinessProbe": {"httpGet": {"path": OWN_PATH, "port": port}, "periodSeconds": 1},
    }
    labels = {"app": NAME}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
            },
        },
    }
