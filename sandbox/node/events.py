"""Events about pods, as the kubelet records them: equal ones become one with a count."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from sandbox.client import ApiError, Client, Object

from .timestamps import now

log = logging.getLogger("sandbox.node")


class Recorder:
    """`record` never waits: a task writes the events in their order."""

    def __init__(self, client: Client, node: str) -> None:
        self._client, self._node = client, node
        self._queue: asyncio.Queue[tuple[Object, str, str, str, str]] = asyncio.Queue()
        self._written: dict[tuple[str, ...], Object] = {}

    def record(self, pod: Object, field: str, kind: str, reason: str, message: str) -> None:
        """`field`: the container's place in the pod, ``spec.containers{main}``, or empty; `kind`: Normal or Warning."""
        self._queue.put_nowait((pod, field, kind, reason, message))

    async def run(self) -> None:
        """Write what is recorded, until cancelled."""
        while True:
            pod, field, kind, reason, message = await self._queue.get()
            try:
                await self._write(pod, field, kind, reason, message)
            except ApiError as error:  # e.g. the namespace is being deleted
                log.info("event %s of pod %s not written: %s", reason, pod["metadata"]["name"], error)

    async def _write(self, pod: Object, field: str, kind: str, reason: str, message: str) -> None:
        metadata: dict[str, Any] = pod["metadata"]
        key = (metadata["uid"], field, kind, reason, message)
        events = f"/api/v1/namespaces/{metadata['namespace']}/events"
        if known := self._written.get(key):
            known["count"] += 1
            again = {"count": known["count"], "lastTimestamp": now()}
            await self._client.patch(f"{events}/{known['metadata']['name']}", again)
            return
        moment = now()
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{metadata['name']}.{time.time_ns():x}",
                "namespace": metadata["namespace"],
            },
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
                "resourceVersion": metadata.get("resourceVersion", ""),
                **({"fieldPath": field} if field else {}),
            },
            "type": kind,
            "reason": reason,
            "message": message,
            "count": 1,
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "source": {"component": "kubelet", "host": self._node},
            "reportingComponent": "kubelet",
            "reportingInstance": self._node,
        }
        await self._client.create(events, event)
        self._written[key] = event
