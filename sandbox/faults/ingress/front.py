"""Put the lying ingress in front of the gateway, and take it away: the gateway's Service selects it instead."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

from sandbox import signs
from sandbox.client import ApiError, Client
from sandbox.faults.acts import images
from sandbox.faults.acts.until import pods_gone, until
from sandbox.handle import Sandbox

NAME, UPSTREAM = "ingress", "ingress-upstream"
IMAGE, PROGRAM = "registry.local/ingress:1", "sandbox.faults.ingress.program"
OWN_PATH = "/.ingress"  # names its lies; the gateway knows no such path
LIES = "LIES"  # in the environment: their names
SELECTOR = "sandbox.seatrial/selector"  # annotation: what the Service selected before

Fault = Callable[[Sandbox], Awaitable[None]]


def lie(name: str) -> tuple[Fault, Fault]:
    """`break_` and `heal` of the lie `name`, a key of `LIES`; the ingress may tell others beside it."""

    async def break_(sandbox: Sandbox) -> None:
        async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
            standing = await _standing(client, sandbox)
            if standing:
                await _retell(client, sandbox, standing, [*_told(standing), name])
            else:
                await _put(client, sandbox, name)

    async def heal(sandbox: Sandbox) -> None:
        async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
            standing = await _standing(client, sandbox)
            rest = [one for one in _told(standing) if one != name] if standing else []
            if standing and rest:
                await _retell(client, sandbox, standing, rest)
            elif standing:
                await _take_away(client, sandbox)

    return break_, heal


async def _standing(client: Client, sandbox: Sandbox) -> dict[str, Any] | None:
    """The Deployment of an ingress that tells something already."""
    try:
        return await client.get(_deployments(sandbox, NAME))
    except ApiError as error:
        if error.status != 404:
            raise
        return None


def _told(deployment: dict[str, Any]) -> list[str]:
    """The names of the lies that it tells."""
    return next(str(one["value"]).split() for one in _env(deployment) if one["name"] == LIES)


async def _retell(client: Client, sandbox: Sandbox, deployment: dict[str, Any], names: list[str]) -> None:
    for one in _env(deployment):
        if one["name"] == LIES:
            one["value"] = " ".join(names)
    await client.replace(_deployments(sandbox, NAME), deployment)
    await until(lambda: tells(sandbox, *names), f"the ingress tells {', '.join(names)}")


async def _put(client: Client, sandbox: Sandbox, name: str) -> None:
    images.change(sandbox, lambda listed: listed.update({IMAGE: {"id": "sha256:" + "1" * 64, "programs": {}}}))
    service = await gateway_service(client, sandbox)
    core = f"/api/v1/namespaces/{sandbox.namespace}"
    [port] = service["spec"]["ports"]
    selector = service["spec"]["selector"]
    await client.create(f"{core}/services", _upstream(selector, port))
    pods = await client.list(f"{core}/pods", labelSelector=",".join(f"{k}={v}" for k, v in selector.items()))
    number = next(p["containerPort"] for c in pods[0]["spec"]["containers"] for p in c["ports"])
    env = {
        LIES: name,
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
    await client.create(_deployments(sandbox), _deployment(env, number))
    change = {
        "metadata": {"annotations": {SELECTOR: json.dumps(selector)}},
        "spec": {"selector": dict.fromkeys(selector) | {"app": NAME}},
    }
    await client.patch(f"{core}/services/{service['metadata']['name']}", change)
    await until(lambda: tells(sandbox, name), f"the ingress tells {name}")


async def _take_away(client: Client, sandbox: Sandbox) -> None:
    service = await gateway_service(client, sandbox)
    core = f"/api/v1/namespaces/{sandbox.namespace}"
    selector = json.loads(service["metadata"]["annotations"][SELECTOR])
    change = {
        "metadata": {"annotations": {SELECTOR: None}},
        "spec": {"selector": {"app": None} | selector},
    }
    await client.patch(f"{core}/services/{service['metadata']['name']}", change)
    await until(lambda: answers(sandbox, OWN_PATH, 404), "the gateway itself answers")
    await client.delete(_deployments(sandbox, NAME))
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


async def tells(sandbox: Sandbox, *names: str) -> bool:
    """Whether what stands at the gateway's address is the ingress with these lies."""
    return await _ask(sandbox, OWN_PATH) == (200, " ".join(names))


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


def _deployments(sandbox: Sandbox, name: str = "") -> str:
    path = f"/apis/apps/v1/namespaces/{sandbox.namespace}/deployments"
    return f"{path}/{name}" if name else path


def _env(deployment: dict[str, Any]) -> list[dict[str, Any]]:
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return list(container["env"])


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
            "strategy": {"type": "Recreate"},  # while two pods stand, one tells what the other does not
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
            },
        },
    }
