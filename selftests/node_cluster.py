"""A Kubernetes API, one kubelet and the service proxy in this process, for the self-tests of `sandbox.node`."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.claim import Claim
from sandbox.client import Client
from sandbox.kube.server import ApiServer
from sandbox.kube.users import MASTERS, NODES, User
from sandbox.node.kubelet import Kubelet
from sandbox.node.policies import NetworkPolicies
from sandbox.node.services import ServiceProxy

NAMESPACE = "shop"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
IMAGE = "registry.local/app:1"
DIGEST = "sha256:" + "1" * 64
IMAGE_ID = f"registry.local/app@{DIGEST}"


@dataclass
class Cluster:
    """What a test works with."""

    client: Client
    kubelet: Kubelet
    claim: Claim
    directory: Path

    async def create(self, kind: str, name: str, **fields: Any) -> dict[str, Any]:
        """Create one object of the core group in the test's namespace, e.g. ``create("secrets", "db", data=…)``."""
        return await self.client.create(
            f"/api/v1/namespaces/{NAMESPACE}/{kind}", {"metadata": {"name": name}, **fields}
        )

    async def run(self, name: str, *command: str, labels: dict[str, str] | None = None, **fields: Any) -> None:
        """Create a pod on this node whose container ``main`` runs `command`; `fields` are its or the pod's."""
        of_pod = {key: fields.pop(key) for key in list(fields) if key in POD_FIELDS}
        container = {"name": "main", "image": IMAGE, "command": list(command), **fields}
        spec = {"nodeName": self.kubelet.name, "containers": [container, *of_pod.pop("others", [])], **of_pod}
        await self.client.create(PODS, {"metadata": {"name": name, "labels": labels or {}}, "spec": spec})

    async def pod(self, name: str) -> dict[str, Any]:
        return await self.client.get(f"{PODS}/{name}")

    async def main(self, name: str) -> dict[str, Any]:
        """The status of a pod's container ``main``."""

        async def look() -> Any:
            statuses = (await self.pod(name))["status"].get("containerStatuses") or ()
            return next((status for status in statuses if status["name"] == "main"), None)

        status: dict[str, Any] = await self.until(look)
        return status

    async def logs(self, name: str, **query: str) -> str:
        return str(await self.client.request("GET", f"{PODS}/{name}/log", params={"container": "main", **query}))

    async def events(self, name: str) -> list[tuple[str, str, str, int]]:
        """(type, reason, message, count) of a pod's events, in the order of their first time."""
        listed = await self.client.list(
            f"/api/v1/namespaces/{NAMESPACE}/events", fieldSelector=f"involvedObject.name={name}"
        )
        listed.sort(key=lambda event: event["metadata"]["name"])
        return [(event["type"], event["reason"], event["message"], event["count"]) for event in listed]

    async def until(self, look: Callable[[], Any], *, seconds: float = 10) -> Any:
        """The first true result of `look`; AssertionError with the last one after `seconds`."""
        end = time.monotonic() + seconds
        while not (seen := await look()):
            assert time.monotonic() < end, f"not after {seconds} s"
            await asyncio.sleep(0.02)
        return seen

    async def phase(self, name: str, phase: str) -> dict[str, Any]:
        """The pod, once it is in `phase`."""

        async def look() -> Any:
            pod = await self.pod(name)
            return pod if pod["status"]["phase"] == phase else None

        return await self.until(look)

    async def ready(self, name: str) -> dict[str, Any]:
        """The pod, once it is Ready."""

        async def look() -> Any:
            pod = await self.pod(name)
            conditions = {each["type"]: each["status"] for each in pod["status"].get("conditions", [])}
            return pod if conditions.get("Ready") == "True" else None

        return await self.until(look)

    async def waiting(self, name: str, reason: str) -> dict[str, Any]:
        """The status of container ``main``, once it waits for `reason`."""

        async def look() -> Any:
            status = await self.main(name)
            return status if status["state"].get("waiting", {}).get("reason") == reason else None

        return await self.until(look)


POD_FIELDS = (
    "activeDeadlineSeconds",
    "automountServiceAccountToken",
    "initContainers",
    "others",
    "restartPolicy",
    "serviceAccountName",
    "terminationGracePeriodSeconds",
    "volumes",
)


@contextlib.asynccontextmanager
async def cluster(directory: Path, **options: Any) -> AsyncIterator[Cluster]:
    """All of it, on an address range of its own; `options` are the kubelet's."""
    claim = Claim()
    users = {
        "admin": User("admin", (MASTERS,)),
        "node": User("system:node:node-1", (NODES,)),
        "proxy": User("system:kube-proxy"),
        "network": User("network-plug-in"),
    }
    api = ApiServer(users=users, service_network=claim.network(200))
    await api.start(claim.address(0, 1))
    images = directory / "images.json"
    images.write_text(json.dumps({IMAGE: {"id": DIGEST}}))
    try:
        async with contextlib.AsyncExitStack() as clients:
            client, node, at_proxy, network = [
                await clients.enter_async_context(Client(api.url, token, api.ca_pem)) for token in users
            ]
            kubelet = Kubelet(
                node,
                name="node-1",
                address=claim.address(0, 10),
                pod_network=claim.network(1),
                directory=directory,
                images=images,
                environment={"SHARED": "by every pod"},
                **options,
            )
            proxy = ServiceProxy(at_proxy, directory)
            await client.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
            await kubelet.start()
            await proxy.start()
            policies = NetworkPolicies(network, claim.address(0, 10), directory)
            await policies.start()
            try:
                yield Cluster(client, kubelet, claim, directory)
            finally:
                await policies.stop()
                await proxy.stop()
                await kubelet.stop()
    finally:
        await api.stop()
        claim.close()
