"""Watches: what exists first (when asked for), then every change until the time-out, with bookmarks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from aiohttp import web

from sandbox.kube.cluster import Cluster
from sandbox.kube.errors import StatusError, expired
from sandbox.kube.negotiation import PARTIAL, TABLE, dumps, include_object, partial, versioned, wanted
from sandbox.kube.objects import Object
from sandbox.kube.request_info import RequestInfo
from sandbox.kube.routes.objects import not_a_version, selected
from sandbox.kube.selectors import field_selector, label_selector
from sandbox.kube.store import Event
from sandbox.kube.tables import table

# Real servers choose between 30 and 60 minutes.
DEFAULT_TIMEOUT = 1800.0
BOOKMARK_EVERY = 60.0


class _Stream:
    """Writes watch events in the form the client wants."""

    def __init__(self, request: web.Request, info: RequestInfo, response: web.StreamResponse) -> None:
        self._request, self._resource, self._response = request, info.resource, response
        self._form = wanted(request)
        self._columns_sent = False

    async def send(self, kind: str, obj: Object) -> None:
        if self._form == TABLE and kind != "BOOKMARK":
            metadata = {"resourceVersion": obj["metadata"]["resourceVersion"]}
            obj = table(self._resource, [obj], metadata, include_object(self._request))
            if self._columns_sent:
                obj["columnDefinitions"] = None
            self._columns_sent = True
        elif self._form == PARTIAL:
            obj = partial(obj)
        else:
            obj = versioned(self._resource, obj)
        await self.write(kind, obj)

    async def write(self, kind: str, obj: Object) -> None:
        await self._response.write(dumps({"type": kind, "object": obj}) + b"\n")

    async def bookmark(self, version: int, **annotations: str) -> None:
        metadata: Object = {"resourceVersion": str(version), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        kind, api_version = self._resource.kind, self._resource.api_version
        await self.send("BOOKMARK", {"kind": kind, "apiVersion": api_version, "metadata": metadata})


async def handle(request: web.Request, cluster: Cluster, info: RequestInfo) -> web.StreamResponse:
    """Answer a watch of a collection, or of one object by name."""
    version = request.query.get("resourceVersion") or "0"
    if not version.isdigit():
        # A real server does not give a reason here either.
        raise StatusError(500, "", not_a_version(version))
    matches = _matcher(request, info)
    # Selected before the answer starts, so that a bad selector is an answer of its own.
    existing = [obj for obj in selected(request, cluster, info) if matches(obj)]
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    stream = _Stream(request, info, response)
    if int(version) and int(version) < cluster.store.compacted:
        too_old = expired(f"too old resource version: {version} ({cluster.store.compacted})")
        await stream.write("ERROR", too_old.body())
    else:
        initial = request.query.get("sendInitialEvents") == "true"
        position = int(version)
        if not position or initial:
            position = cluster.store.version
            for obj in existing:
                await stream.send("ADDED", obj)
        if initial:
            await stream.bookmark(position, **{"k8s.io/initial-events-end": "true"})
        await _follow(request, cluster, info, stream, matches, position)
    await response.write_eof()
    return response


def _matcher(request: web.Request, info: RequestInfo) -> Callable[[Object], bool]:
    labels = label_selector(request.query.get("labelSelector", ""))
    fields = field_selector(request.query.get("fieldSelector", ""), info.resource)

    def matches(obj: Object) -> bool:
        metadata = obj["metadata"]
        return (
            (info.namespace is None or metadata.get("namespace") == info.namespace)
            and (not info.name or metadata["name"] == info.name)
            and labels(metadata.get("labels"))
            and fields(obj)
        )

    return matches


async def _follow(
    request: web.Request,
    cluster: Cluster,
    info: RequestInfo,
    stream: _Stream,
    matches: Callable[[Object], bool],
    position: int,
) -> None:
    store = cluster.store
    deadline = time.monotonic() + float(request.query.get("timeoutSeconds") or DEFAULT_TIMEOUT)
    with_bookmarks = request.query.get("allowWatchBookmarks") in ("true", "1")
    while True:
        changed = store.changed
        current = store.version
        for event in store.since(position, info.resource.key):
            kind = _seen_as(event, matches)
            if kind:
                await stream.send(kind, event.object)
        position = current
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            async with asyncio.timeout(min(left, BOOKMARK_EVERY)):
                await changed.wait()
        except TimeoutError:
            if with_bookmarks:
                await stream.bookmark(position)


def _seen_as(event: Event, matches: Callable[[Object], bool]) -> str | None:
    """What a change looks like to a watch with selectors: an object may come to match, or cease to."""
    before = event.previous is not None and matches(event.previous)
    after = event.type != "DELETED" and matches(event.object)
    if before and after:
        return "MODIFIED"
    if after:
        return "ADDED"
    return "DELETED" if before else None
