"""The first public sign of each trouble, with its time, in ``signs.jsonl``: what anybody who looks at the API can see.

A line is ``{"time": <epoch seconds>, "sign": "ErrImagePull", "object": "pod/<namespace>/<name>", "message": "..."}``.
A trouble that goes away and comes again is written again. Faults that show in no object write their own line.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sandbox.client import Client

FILE = "signs.jsonl"
WAITING = {"ErrImagePull", "ImagePullBackOff", "CrashLoopBackOff", "CreateContainerConfigError"}
ERROR = "Error"
IMAGE_CACHE = "launch-image-cache-"  # begins the names of the product's DaemonSets that hold images nobody pushed
EVENTS = {"FailedScheduling"}

Object = dict[str, Any]
Trouble = tuple[str, str, str]  # sign, object, message


def write(path: Path, sign: str, obj: str, message: str) -> None:
    """Append one line; several processes may."""
    line = json.dumps({"time": time.time(), "sign": sign, "object": obj, "message": message})
    with path.open("a") as file:
        file.write(line + "\n")


def of_pod(pod: Object) -> Iterator[Trouble]:
    """Containers that wait for a reason which is not going to pass by itself, or that ended badly and start anew."""
    if pod["metadata"].get("labels", {}).get("app", "").startswith(IMAGE_CACHE):
        return  # as on many real clusters; nobody waits for them
    status = pod.get("status", {})
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        waiting = container.get("state", {}).get("waiting", {})
        ended = container.get("lastState", {}).get("terminated", {})
        if ended.get("exitCode") and "deletionTimestamp" not in pod["metadata"]:
            yield ERROR, named("pod", pod["metadata"]), f"{container['name']} ended with {ended['exitCode']}"
        if waiting.get("reason") in WAITING:
            yield waiting["reason"], named("pod", pod["metadata"]), waiting.get("message", "")


def of_deployment(deployment: Object) -> Iterator[Trouble]:
    """Scaled to nothing."""
    if deployment["spec"].get("replicas") == 0:
        yield "ScaledToZero", named("deployment", deployment["metadata"]), "spec.replicas is 0"


def of_job(job: Object) -> Iterator[Trouble]:
    """Given up."""
    for condition in job.get("status", {}).get("conditions", []):
        if condition["type"] == "Failed" and condition["status"] == "True":
            yield "JobFailed", named("job", job["metadata"]), condition.get("message", "")


def of_autoscaler(autoscaler: Object) -> Iterator[Trouble]:
    """It cannot scale, for a reason such as FailedGetPodsMetric."""
    for condition in autoscaler.get("status", {}).get("conditions", []):
        if condition["type"] == "ScalingActive" and condition["status"] == "False":
            yield condition["reason"], named("horizontalpodautoscaler", autoscaler["metadata"]), condition["message"]


def of_event(event: Object) -> Iterator[Trouble]:
    """Warnings that say what an object's status does not."""
    if event.get("reason") in EVENTS:
        involved = event["involvedObject"]
        yield event["reason"], named(involved["kind"].lower(), involved), event.get("message", "")


def named(kind: str, reference: Object) -> str:
    """``pod/<namespace>/<name>``."""
    return f"{kind}/{reference['namespace']}/{reference['name']}"


WATCHED: dict[str, Callable[[Object], Iterator[Trouble]]] = {
    "/api/v1/pods": of_pod,
    "/apis/apps/v1/deployments": of_deployment,
    "/apis/batch/v1/jobs": of_job,
    "/apis/autoscaling/v2/horizontalpodautoscalers": of_autoscaler,
    "/api/v1/events": of_event,
}


class Signs:
    """Watches the Kubernetes API from `start` to `stop`, as a client like any other."""

    def __init__(self, client: Client, directory: Path) -> None:
        self.client, self.path = client, directory / FILE
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """The file exists from here on."""
        self.path.touch()
        self._tasks = [asyncio.create_task(self._follow(path, troubles)) for path, troubles in WATCHED.items()]

    async def stop(self) -> None:
        """End the watches."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self, path: str, troubles: Callable[[Object], Iterator[Trouble]]) -> None:
        standing: dict[str, set[str]] = {}  # uid of the object -> its signs
        async for kind, obj in self.client.watch(path):
            uid = obj["metadata"]["uid"]
            found = {} if kind == "DELETED" else {sign: (where, message) for sign, where, message in troubles(obj)}
            for sign in found.keys() - standing.get(uid, set()):
                write(self.path, sign, *found[sign])
            standing[uid] = set(found)
