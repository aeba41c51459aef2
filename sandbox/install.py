"""Install a chart's objects, and wait as ``helm install --wait`` does."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from sandbox import signs
from sandbox.client import ApiError, Client

Object = dict[str, Any]


class NotAvailableError(Exception):
    """A workload did not come up; the text says what its pods say."""


async def install(client: Client, objects: list[Object]) -> None:
    """Create them in their order."""
    resources: dict[str, dict[str, Object]] = {}
    for obj in objects:
        version = obj["apiVersion"]
        group = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if version not in resources:
            listed = (await client.get(group))["resources"]
            resources[version] = {resource["kind"]: resource for resource in listed if "/" not in resource["name"]}
        resource = resources[version][obj["kind"]]
        namespace = f"/namespaces/{obj['metadata']['namespace']}" if resource["namespaced"] else ""
        await client.create(f"{group}{namespace}/{resource['name']}", obj)


async def available(client: Client, objects: list[Object], seconds: float) -> None:
    """Return once every Deployment among `objects` has its replicas available.

    NotAvailableError after `seconds`, or as soon as a pod waits for what does not pass by itself.
    """
    deadline = time.monotonic() + seconds
    missing = {
        (obj["metadata"]["namespace"], obj["metadata"]["name"]) for obj in objects if obj["kind"] == "Deployment"
    }
    namespaces = sorted({namespace for namespace, _ in missing})
    while missing:
        for namespace, name in sorted(missing):
            deployment = await client.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")
            if deployment.get("status", {}).get("availableReplicas", 0) >= deployment["spec"]["replicas"]:
                missing.remove((namespace, name))
        pods = [pod for namespace in namespaces for pod in await client.list(f"/api/v1/namespaces/{namespace}/pods")]
        if time.monotonic() > deadline or any(list(signs.of_pod(pod)) for pod in pods):
            names = ", ".join(name for _, name in sorted(missing))
            stories = [await story(client, pod) for pod in pods]
            raise NotAvailableError(f"not available: {names}" + "".join(stories))
        await asyncio.sleep(0.05)


async def story(client: Client, pod: Object) -> str:
    """What a pod that is not ready waits for, and the last that its containers said."""
    said = [f"\n{sign}: {message}" for sign, _, message in signs.of_pod(pod)]
    for status in pod.get("status", {}).get("containerStatuses", []):
        if not status["ready"]:
            path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}/log"
            with contextlib.suppress(ApiError):
                log = await client.request("GET", path, params={"container": status["name"], "tailLines": "20"})
                said.append(f"\n{log}")
    return "".join(said)
