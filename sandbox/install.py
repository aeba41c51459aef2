"""Install a chart's objects, and wait as ``helm install --wait`` does."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from sandbox import signs
from sandbox.client import ApiError, Client

Object = dict[str, Any]

# The collection of each kind that an install waits for, and the status field that says how many are there.
WORKLOADS = {"Deployment": ("deployments", "availableReplicas"), "StatefulSet": ("statefulsets", "readyReplicas")}


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
    """Return once every Deployment and StatefulSet among `objects` has its replicas, an autoscaler's least at least.

    NotAvailableError after `seconds`, or as soon as a pod waits for what does not pass by itself.
    """
    deadline = time.monotonic() + seconds
    least = {
        obj["spec"]["scaleTargetRef"]["name"]: obj["spec"]["minReplicas"]
        for obj in objects
        if obj["kind"] == "HorizontalPodAutoscaler"
    }
    missing = {
        (obj["metadata"]["namespace"], obj["metadata"]["name"]): WORKLOADS[obj["kind"]]
        for obj in objects
        if obj["kind"] in WORKLOADS
    }
    apps = {obj["metadata"]["name"] for obj in objects if obj["kind"] in WORKLOADS}
    namespaces = sorted({namespace for namespace, _ in missing})
    while missing:
        for (namespace, name), (plural, counter) in sorted(missing.items()):
            workload = await client.get(f"/apis/apps/v1/namespaces/{namespace}/{plural}/{name}")
            wanted = max(workload["spec"]["replicas"], least.get(name, 0))
            if workload.get("status", {}).get(counter, 0) >= wanted:
                del missing[namespace, name]
        listed = [pod for namespace in namespaces for pod in await client.list(f"/api/v1/namespaces/{namespace}/pods")]
        pods = [pod for pod in listed if pod["metadata"].get("labels", {}).get("app") in apps]
        if time.monotonic() > deadline or any(list(signs.of_pod(pod)) for pod in pods):
            names = ", ".join(name for _, name in sorted(missing))
            stories = [await story(client, pod) for pod in pods]
            raise NotAvailableError(f"not available: {names}" + "".join(stories))
        await asyncio.sleep(0.05)


async def finish_hooks(client: Client, objects: list[Object], seconds: float) -> None:
    """Await the Jobs among `objects` and delete them, as helm does with hooks that succeed.

    NotAvailableError for one that does not: it is left.
    """
    deadline = time.monotonic() + seconds
    for job in (obj for obj in objects if obj["kind"] == "Job"):
        meta = job["metadata"]
        path = f"/apis/batch/v1/namespaces/{meta['namespace']}/jobs/{meta['name']}"
        while not (status := (await client.get(path)).get("status", {})).get("succeeded"):
            if status.get("failed") or time.monotonic() > deadline:
                selector = f"job-name={meta['name']}"
                pods = await client.list(f"/api/v1/namespaces/{meta['namespace']}/pods", labelSelector=selector)
                stories = [await story(client, pod) for pod in pods]
                raise NotAvailableError(f"the hook {meta['name']} did not succeed" + "".join(stories))
            await asyncio.sleep(0.05)
        await client.delete(path, propagationPolicy="Background")


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
