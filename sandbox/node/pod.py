"""A pod on this node: its address, directory, containers and status."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from typing import TYPE_CHECKING

from sandbox import clock
from sandbox.client import ApiError, Object
from sandbox.tasks import background

from . import network, status, volumes
from .container import Container
from .devices import AdmissionError
from .timestamps import now

if TYPE_CHECKING:
    from .kubelet import Kubelet

log = logging.getLogger("sandbox.node")

OVER = ("Succeeded", "Failed")
# The kubelet's waits between attempts to mount volumes, in seconds: doubled from the first to the last.
MOUNT_SECONDS = (0.5, 122)
HELD_PORT_SECONDS = 10


def is_over(pod: Object) -> bool:
    """Whether the API server says that the pod has ended and will not run again."""
    return pod.get("status", {}).get("phase") in OVER


class Pod:
    """Follows one pod object from its assignment to this node until the API server has forgotten it."""

    def __init__(self, node: Kubelet, observed: Object) -> None:
        self.node = node
        self.metadata, self.spec = observed["metadata"], observed["spec"]
        self.uid: str = self.metadata["uid"]
        self.path = f"/api/v1/namespaces/{self.metadata['namespace']}/pods/{self.metadata['name']}"
        self.full_name = f"{self.metadata['name']}_{self.metadata['namespace']}({self.uid})"
        self.directory = node.directory / "pods" / self.uid
        self.root, self.logs = self.directory / "root", self.directory / "logs"
        self.address = node.network.allocate()
        self.observed = self._with_addresses(observed)
        init_specs = self.spec.get("initContainers") or ()
        waiting = "PodInitializing" if init_specs else "ContainerCreating"
        self.init_containers = [Container(self, spec, init=True, waiting=waiting) for spec in init_specs]
        self.containers = [Container(self, spec, init=False, waiting=waiting) for spec in self.spec["containers"]]
        self.variables: dict[str, str] = {}
        self.devices: dict[str, dict[str, str]] = {}  # by container, what its environment gets for them
        self._started_at = now()
        self._in_place = False
        self._terminal = False
        self._failure: Object = {}  # of a pod that was active for too long: reason and message
        self._phase: str = observed.get("status", {}).get("phase", "Pending")  # as it was last written
        self._evicted = False
        self._held_until = time.monotonic() + node.hold_of(observed)
        self._conditions: list[Object] = []
        self._dirty = asyncio.Event()
        self._dirty.set()
        self._kill_at = float("inf")
        self._terminating = False
        self._living = background(self._live())
        self._reporting = background(self._report())
        self._stopping: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()
        self._deadline: asyncio.TimerHandle | None = None
        if "activeDeadlineSeconds" in self.spec:
            deadline = clock.scaled(self.spec["activeDeadlineSeconds"])
            self._deadline = asyncio.get_running_loop().call_later(deadline, self._expire)
        if self._held_until > time.monotonic():
            asyncio.get_running_loop().call_at(self._held_until + 0.01, self.changed)

    # What the API server says of it

    def update(self, observed: Object) -> None:
        """The object was written: a deletion begins the end, or brings it nearer; an eviction is one, too."""
        self.observed = self._with_addresses(observed)
        if is_over(observed) and self._phase not in OVER and not self._evicted:
            self._evicted = True
            self._reporting.cancel()  # what was said of the pod stays
            self._stop_soon()
        if "deletionTimestamp" in observed["metadata"]:
            self.terminate(observed["metadata"].get("deletionGracePeriodSeconds", 0))

    def _expire(self) -> None:
        """The pod has been active for as long as it may be."""
        if self._phase in OVER or self._evicted or self._terminating:
            return
        text = "Pod was active on the node longer than the specified deadline"
        self.node.recorder.record(self.observed, "", "Normal", "DeadlineExceeded", text)
        self._failure = {"phase": "Failed", "reason": "DeadlineExceeded", "message": text}
        self._stop_soon()

    def _stop_soon(self) -> None:
        """End what runs, within the pod's grace period."""
        self._living.cancel()
        self._stopping = background(self._stop())
        grace = clock.scaled(self.spec.get("terminationGracePeriodSeconds", 30))
        asyncio.get_running_loop().call_later(grace, self.kill)

    def _with_addresses(self, observed: Object) -> Object:
        """The object with what the downward API may ask for before the first status is written."""
        addresses = {"podIP": self.address, "hostIP": self.node.address}
        return {**observed, "status": {**observed.get("status", {}), **addresses}}

    def terminate(self, grace: float) -> None:
        """SIGTERM, and SIGKILL after `grace` seconds of the stand-ins' time; may be called again to hurry."""
        loop = asyncio.get_running_loop()
        kill_at = loop.time() + clock.scaled(grace)
        if not self._terminating:
            self._terminating = True
            self._living.cancel()
            self._ending = background(self._end())
        if kill_at < self._kill_at:
            self._kill_at = kill_at
            loop.call_at(kill_at, self.kill)

    def kill(self) -> None:
        """SIGKILL for whatever runs."""
        for container in self._all:
            container.kill()

    async def close(self) -> None:
        """The node stops: end the processes and say nothing to the API server."""
        tasks = [task for task in (self._living, self._reporting, self._stopping, self._ending) if task]
        if self._deadline is not None:
            self._deadline.cancel()
        for task in tasks:
            task.cancel()
        self.kill()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.kill()
        for container in self._all:
            await container.ended()

    def changed(self) -> None:
        """Something the status tells is different now."""
        self._dirty.set()

    @property
    def _all(self) -> list[Container]:
        return [*self.init_containers, *self.containers]

    def container(self, name: str) -> Container | None:
        """By name, init containers too."""
        return next((container for container in self._all if container.name == name), None)

    # Its life

    async def _live(self) -> None:
        try:
            self.devices = self.node.allocate(self.uid, self.spec["containers"])
        except AdmissionError as error:
            await self._refuse(str(error))
        self._place()
        await self._mount()
        await self._ports_free()
        self._in_place = True
        self.changed()
        for container in self.init_containers:
            await container.live()
            if container.exit_code != 0:
                return
        await asyncio.gather(*(container.live() for container in self.containers))

    async def _refuse(self, text: str) -> None:
        """The pod has failed before it ran; does not return."""
        self.node.recorder.record(self.observed, "", "Warning", "UnexpectedAdmissionError", text)
        message = f"Pod was rejected: {text}"
        self._failure = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": message}
        self._stop_soon()
        await asyncio.Event().wait()

    def _place(self) -> None:
        for directory in (self.root / "tmp", self.root / "root"):
            directory.mkdir(parents=True, exist_ok=True)
        self.variables = {
            **self.node.variables,
            "HOME": str(self.root / "root"),
            "HOSTNAME": self.metadata["name"],
            "POD_IP": self.address,
            "POD_NAME": self.metadata["name"],
            "POD_NAMESPACE": self.metadata["namespace"],
            "POD_ROOT": str(self.root),
            "TMPDIR": str(self.root / "tmp"),
        }

    async def _mount(self) -> None:
        delay, longest = MOUNT_SECONDS
        while True:
            try:
                await volumes.set_up(self.node.client, self.observed, self.root, self.directory / "volumes")
                return
            except volumes.MountError as error:
                self.node.recorder.record(self.observed, "", "Warning", "FailedMount", str(error))
            await clock.sleep(delay)
            delay = min(2 * delay, longest)

    async def _ports_free(self) -> None:
        """The pod's address is its own, but a listener on every address of the machine takes the port all the same."""
        ports = [(each, port["containerPort"]) for each in self.containers for port in each.spec.get("ports") or ()]
        for container, port in ports:
            while holder := network.holder(self.address, port):
                text = f"port {port} of this machine is held by a process outside the sandbox that listens on {holder}"
                log.error("pod %s cannot start: %s; see: ss -ltnp 'sport = :%d'", self.full_name, text, port)
                container.event("Warning", "Failed", f"Error: {text}")
                container.state = {"waiting": {"reason": "CreateContainerError", "message": text}}
                self.changed()
                await clock.sleep(HELD_PORT_SECONDS)

    async def _stop(self) -> None:
        """Return once every process has ended, in its own time or killed."""
        await asyncio.gather(self._living, return_exceptions=True)
        for container in self._all:
            if container.running:
                container.event("Normal", "Killing", f"Stopping container {container.name}")
                container.signal()
        await asyncio.gather(*(container.ended() for container in self._all))
        self.changed()

    async def _end(self) -> None:
        """Stop; then the API server may forget the pod."""
        await (self._stopping or self._stop())
        self._terminal = True
        self._reporting.cancel()
        await asyncio.gather(self._reporting, return_exceptions=True)
        with contextlib.suppress(ApiError):
            if not self._evicted:
                await self._write_status()
        with contextlib.suppress(ApiError):  # whatever became of its last words
            await self.node.client.delete(self.path, gracePeriodSeconds=0, preconditions={"uid": self.uid})
        shutil.rmtree(self.directory, ignore_errors=True)
        self.node.forget(self)

    # Its status

    async def _report(self) -> None:
        """Write the status when it has changed; what changes while a write is under way goes into the next one."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            try:
                await asyncio.shield(background(self._write_status()))
            except ApiError as error:  # the pod has been deleted or evicted, and the watch is about to say so
                log.info("pod %s: %s", self.full_name, error)

    async def _write_status(self) -> None:
        """Unless somebody else has ended the pod meanwhile: its phase is no longer what it was."""
        async with self._writing:
            status = self._status()
            patch = [
                {"op": "test", "path": "/metadata/uid", "value": self.uid},
                {"op": "test", "path": "/status/phase", "value": self._phase},
                *({"op": "add", "path": f"/status/{key}", "value": value} for key, value in status.items()),
            ]
            await self.node.client.patch(f"{self.path}/status", patch, "json")
            self._phase = status["phase"]

    def _status(self) -> Object:
        init = [container.status() for container in self.init_containers]
        main = [container.status() for container in self.containers]
        if time.monotonic() < self._held_until:
            main = [{**each, "ready": False} for each in main]
        phase = status.phase(init, main, self.spec.get("restartPolicy", "Always"), terminal=self._terminal)
        before = self._conditions or self.observed.get("status", {}).get("conditions", [])
        self._conditions = status.conditions(before, init, main, phase, in_place=self._in_place)
        if phase in OVER:
            self.node.release(self.uid)
        return {
            "phase": phase,
            **(self._failure if self._stopping is not None and self._stopping.done() else {}),
            "conditions": self._conditions,
            "hostIP": self.node.address,
            "hostIPs": [{"ip": self.node.address}],
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
            "startTime": self._started_at,
            "containerStatuses": main,
            **({"initContainerStatuses": init} if init else {}),
        }
