"""A kubelet that runs pods as processes of this machine. It is a client of the Kubernetes API like any other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox import clock
from sandbox.client import ApiError, Client, Object
from sandbox.tasks import background

from . import environment, registration
from .devices import Devices
from .events import Recorder
from .forks import Forks
from .images import Images
from .network import PodNetwork
from .pod import Pod, is_over
from .server import Server
from .timestamps import now

CAPACITY = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "500Gi", "pods": "110"}
# How often the node's status is written without a change, and how often pods are compared with the API server's list.
HEARTBEAT_SECONDS = 300
CLEANUP_SECONDS = 60
DEVICES_SECONDS = 0.25  # between two looks at the device plug-ins, of real time
MACHINE = "SANDBOX_MACHINE"  # in every pod's environment: the folder of the machine


class Kubelet:
    """One node.

    `address` is the node's InternalIP; pods get theirs from `pod_network` (``127.7.1.0/24``) and live below
    `directory`, where `ServiceProxy` keeps ``services.json``. `images` is the registry, see `images.Images`.
    `environment` is added to every pod's. Pods that carry the label `slow_label` become ready no sooner than
    `ready_after` seconds after they were assigned. Both times are scaled by the sandbox's clock. `conditions` are of
    health agents: type -> status, reason, message. `machine` is the folder of a machine with devices, see `Devices`.
    `forks` begins Python programs, where there is one.
    """

    def __init__(
        self,
        client: Client,
        *,
        name: str,
        address: str,
        pod_network: str,
        directory: Path,
        images: Path,
        environment: Mapping[str, str],
        ready_after: float = 0.0,
        slow_label: str = "",
        labels: Mapping[str, str] = {},
        taints: Sequence[Mapping[str, str]] = (),
        conditions: Mapping[str, tuple[str, str, str]] = {},
        capacity: Mapping[str, str] = CAPACITY,
        machine: Path | None = None,
        forks: Forks | None = None,
    ) -> None:
        self.client, self.name, self.address, self.directory, self.forks = client, name, address, directory, forks
        self.network = PodNetwork(pod_network)
        self.images = Images(images)
        self.recorder = Recorder(client, name)
        self.variables: dict[str, str] = {}
        self._environment = {**environment, MACHINE: str(machine)} if machine else environment
        self._devices = Devices(machine) if machine else None
        self._taints, self._conditions = taints, conditions
        self._ready_after, self._slow_label = ready_after, slow_label
        self._labels, self._capacity, self._pod_network = labels, capacity, pod_network
        self._server = Server(self._find)
        self._pods: dict[str, Pod] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._since = now()

    async def start(self) -> None:
        """Register the Node, serve its logs, follow its pods. Raises `ApiError` when the API server refuses."""
        services = self.directory / "services.json"
        self.variables = environment.of_node(services, self.client.url, self._environment)
        await self._server.start(self.address)
        await self._register()
        self._tasks = [
            background(task) for task in (self._follow(), self._heartbeat(), self._clean_up(), self.recorder.run())
        ]
        if self._devices is not None:
            self._tasks.append(background(self._follow_devices(self._devices)))

    async def stop(self) -> None:
        """End every process this kubelet has started; when it returns they are reaped."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(pod.close() for pod in self._pods.values()))
        self._pods.clear()
        await self._server.stop()

    # What a pod asks of its node

    def hold_of(self, pod: Object) -> float:
        """For how many real seconds the pod is kept from being ready."""
        slow = self._slow_label and self._slow_label in pod["metadata"].get("labels", {})
        return clock.scaled(self._ready_after) if slow else 0.0

    def forget(self, pod: Pod) -> None:
        """The pod has ended and the API server knows."""
        self._pods.pop(pod.uid, None)
        self.network.release(pod.address)
        self.release(pod.uid)

    def allocate(self, uid: str, containers: list[Object]) -> dict[str, dict[str, str]]:
        """By container what its environment gets for the devices it asks for. `AdmissionError`."""
        return self._devices.allocate(uid, containers) if self._devices is not None else {}

    def release(self, uid: str) -> None:
        """The pod needs its devices no longer."""
        if self._devices is not None:
            self._devices.release(uid)

    # The node

    def _find(self, namespace: str, name: str) -> Pod | None:
        found = (pod for pod in self._pods.values() if pod.metadata["name"] == name)
        return next((pod for pod in found if pod.metadata["namespace"] == namespace), None)

    async def _register(self) -> None:
        node = registration.node(
            self.name,
            self.address,
            self._server.port,
            labels=self._labels,
            taints=self._taints,
            agents=self._conditions,
            capacity=self._capacity,
            pod_network=self._pod_network,
        )
        try:
            await self.client.create("/api/v1/nodes", node)
        except ApiError as error:  # a machine that comes back finds its node
            if error.status != 409:
                raise
        await self.client.patch(f"/api/v1/nodes/{self.name}/status", {"status": node["status"]})

    async def _heartbeat(self) -> None:
        while True:
            await clock.sleep(HEARTBEAT_SECONDS)
            status = {"conditions": registration.conditions(self._since, self._conditions)}
            await self.client.patch(f"/api/v1/nodes/{self.name}/status", {"status": status})

    async def _follow_devices(self, devices: Devices) -> None:
        """Write what there is of each resource when it changes; one that is no longer known goes."""
        said: dict[str, tuple[int, int]] = {}
        while True:
            found = devices.counts()
            if found != said:
                counts = {name: found.get(name) for name in said | found}
                status = {
                    field: {name: None if count is None else str(count[which]) for name, count in counts.items()}
                    for which, field in enumerate(("capacity", "allocatable"))
                }
                await self.client.patch(f"/api/v1/nodes/{self.name}/status", {"status": status})
                said = found
            await asyncio.sleep(DEVICES_SECONDS)

    async def _follow(self) -> None:
        async for kind, observed in self.client.watch("/api/v1/pods", fieldSelector=f"spec.nodeName={self.name}"):
            self._observe(kind, observed)

    def _observe(self, kind: str, observed: Object) -> None:
        uid = observed["metadata"]["uid"]
        if kind == "DELETED":
            self.release(uid)  # as a kubelet does: what nobody knows any more holds nothing
            if pod := self._pods.get(uid):
                pod.terminate(0)
            return
        pod = self._pods.get(uid)
        if pod is None:
            if is_over(observed):
                return
            pod = self._pods[uid] = Pod(self, observed)
        pod.update(observed)

    async def _clean_up(self) -> None:
        """A deletion may be missed while a watch is broken."""
        while True:
            await clock.sleep(CLEANUP_SECONDS)
            known = dict(self._pods)
            listed = await self.client.list("/api/v1/pods", fieldSelector=f"spec.nodeName={self.name}")
            for uid in known.keys() - {each["metadata"]["uid"] for each in listed}:
                known[uid].terminate(0)
