"""Container logs: asked from the kubelet of the pod's node, as kube-apiserver does."""

from __future__ import annotations

import aiohttp
from aiohttp import web

from sandbox.kube.cluster import Cluster
from sandbox.kube.errors import StatusError, bad_request, method_not_allowed
from sandbox.kube.objects import Object, containers, get
from sandbox.kube.request_info import RequestInfo
from sandbox.kube.resources import NODES

# Query parameters that the kubelet understands; "container" is part of its path.
FORWARDED = ("follow", "limitBytes", "previous", "sinceSeconds", "sinceTime", "tailLines", "timestamps")
BY_KUBELET_STATUS = {400: "BadRequest", 404: "NotFound", 500: "InternalError"}


async def handle(request: web.Request, cluster: Cluster, info: RequestInfo) -> web.StreamResponse:
    """Answer get of ``pods/log``: 400 for a container that does not exist; empty while no node has the pod."""
    if info.verb != "get":
        raise method_not_allowed()
    pod = cluster.find(info.resource, info.namespace, info.name)
    container = _container(pod, request.query.get("container"))
    node = get(pod, "spec.nodeName")
    if not node:
        return web.Response(content_type="text/plain")
    url = f"{kubelet_url(cluster.find(NODES, None, node))}/containerLogs/{info.namespace}/{info.name}/{container}"
    query = {key: request.query[key] for key in FORWARDED if key in request.query}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url, params=query) as answer:
            if answer.status >= 400:
                text = (await answer.text()).strip()
                raise StatusError(answer.status, BY_KUBELET_STATUS.get(answer.status, ""), text)
            response = web.StreamResponse(headers={"Content-Type": "text/plain"})
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response
    except aiohttp.ClientConnectionError as error:
        host = url.removeprefix("http://").split("/")[0]
        raise StatusError(500, "", f'Get "{url}": dial tcp {host}: connect: connection refused') from error


def _container(pod: Object, asked: str | None) -> str:
    name, names = pod["metadata"]["name"], [item["name"] for item in containers(pod["spec"])]
    if asked is None:
        if len(names) == 1:
            return str(names[0])
        listed = " ".join(names)
        raise bad_request(f"a container name must be specified for pod {name}, choose one of: [{listed}]")
    if asked not in names:
        raise bad_request(f"container {asked} is not valid for pod {name}")
    return asked


def kubelet_url(node: Object) -> str:
    """Where the node's kubelet listens, from its status."""
    addresses = get(node, "status.addresses", [])
    address = next((item["address"] for item in addresses if item["type"] == "InternalIP"), "")
    return f"http://{address}:{get(node, 'status.daemonEndpoints.kubeletEndpoint.Port', 10250)}"
