"""One container of a pod, from its image to its last exit."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox import clock
from sandbox.client import Object

from . import back_off, command, environment, probes
from .configuration import ConfigurationError
from .images import Image, PullError
from .logs import ContainerLog
from .process import Process, StartError
from .timestamps import duration, now

if TYPE_CHECKING:
    from .pod import Pod

# How long the kubelet takes to look at a pod again, and after a container's configuration could not be put together.
SYNC_SECONDS = 1
CONFIGURATION_SECONDS = 10

START_FAILED = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    "unable to start container process: error during container init: {}: unknown"
)
# Nothing here counts memory. A program that stands for one that takes much is told its container's limit, a quantity:
# it ends all processes where the kernel would, and leaves a file where the kernel would leave a count (memory.events).
MEMORY_LIMIT, OOM_KILL = "SANDBOX_MEMORY_LIMIT", "SANDBOX_OOM_KILL"
EXEC_FAILED = "OCI runtime exec failed: exec failed: unable to start container process: {}: unknown"


class Container:
    """`live` runs it, restarts included; `state last_state restarts ready started` are what its status says."""

    def __init__(self, pod: Pod, spec: Object, *, init: bool, waiting: str) -> None:
        self.pod, self.spec, self.init = pod, spec, init
        self.name: str = spec["name"]
        self.state: Object = {"waiting": {"reason": waiting}}
        self.last_state: Object = {}
        self.restarts = 0
        self.ready = self.started = False
        self.log: ContainerLog | None = None
        self.previous_log: Path | None = None
        self._image: Image | None = None
        self._id = ""
        self._process: Process | None = None
        self._command = command.Command([], init=False)
        self._variables: dict[str, str] = {}
        self._oom_kill = pod.directory / f"{self.name}.oom_kill"

    # What others read

    @property
    def running(self) -> bool:
        """A process of it is alive."""
        return self._process is not None and not self._process.exited.done()

    @property
    def exit_code(self) -> int | None:
        """The exit code of a container that has ended and is not to run again."""
        return self.state["terminated"]["exitCode"] if "terminated" in self.state else None

    def status(self) -> Object:
        """A ContainerStatus."""
        return {
            "name": self.name,
            "image": self.spec["image"],
            "imageID": self._image.id if self._image and self._id else "",
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restarts,
            "state": self.state,
            "lastState": self.last_state,
            **({"containerID": self._id} if self._id else {}),
        }

    # Its life

    async def live(self) -> None:
        """Pull, create, run, back off, again; returns when the restart policy is satisfied."""
        delays = back_off.delays(first_at_once=True)
        while True:
            begun = time.monotonic()
            self._image = await self._pull()
            if await self._create(self._image):
                await self._run()
            if not self._runs_again():
                return
            self.last_state = self.state
            if time.monotonic() - begun > clock.scaled(back_off.RESET_SECONDS):
                delays = back_off.delays(first_at_once=True)
            await self._back_off(next(delays))
            self.restarts += 1

    def _runs_again(self) -> bool:
        policy = self.pod.spec.get("restartPolicy", "Always")
        failed = self.exit_code != 0
        return policy != "Never" and (failed or (policy == "Always" and not self.init))

    async def _back_off(self, delay: int) -> None:
        if not delay:
            return
        where = f"{self.name} in pod {self.pod.full_name}"
        self.event("Warning", "BackOff", f"Back-off restarting failed container {where}")
        text = f"back-off {duration(delay)} restarting failed container={self.name} pod={self.pod.full_name}"
        self._wait("CrashLoopBackOff", text)
        await clock.sleep(delay)

    async def _pull(self) -> Image:
        reference, images = self.spec["image"], self.pod.node.images
        image = images.present(reference)
        if image and self.spec["imagePullPolicy"] != "Always":
            text = f'Container image "{reference}" already present on machine and can be accessed by the pod'
            self.event("Normal", "Pulled", text)
            return image
        delays = back_off.delays(first_at_once=False)
        while True:
            begun = time.monotonic()
            self.event("Normal", "Pulling", f'Pulling image "{reference}"')
            try:
                image = images.pull(reference)
            except PullError as error:
                await self._pull_failed(reference, str(error), next(delays))
            else:
                took = duration(time.monotonic() - begun)
                text = f'Successfully pulled image "{reference}" in {took} ({took} including waiting).'
                self.event("Normal", "Pulled", f"{text} Image size: {image.size} bytes.")
                return image

    async def _pull_failed(self, reference: str, text: str, delay: int) -> None:
        self.event("Warning", "Failed", f'Failed to pull image "{reference}": {text}')
        self.event("Warning", "Failed", "Error: ErrImagePull")
        self._wait("ErrImagePull", text)
        await clock.sleep(SYNC_SECONDS)
        self.event("Normal", "BackOff", f'Back-off pulling image "{reference}"')
        self.event("Warning", "Failed", "Error: ImagePullBackOff")
        self._wait("ImagePullBackOff", f'Back-off pulling image "{reference}": ErrImagePull: {text}')
        await clock.sleep(delay - SYNC_SECONDS)

    async def _create(self, image: Image) -> bool:
        """Start the program; True when it runs, False when it could not be started, which counts as an exit."""
        await self._configure(image)
        self.previous_log = self.log.path if self.log else None
        self.log = ContainerLog(self.pod.logs / self.name / f"{self.restarts}.log")
        self._id = f"containerd://{secrets.token_hex(32)}"
        self.event("Normal", "Created", "Container created")
        try:
            self._process = await Process.start(
                self._command.argv,
                env=self._variables,
                cwd=self.pod.root,
                sink=self.log.write,
                forks=self.pod.node.forks,
            )
        except StartError as error:
            self.log.close()
            text = START_FAILED.format(error)
            self.event("Warning", "Failed", f"Error: {text}")
            self._terminated(128, "StartError", text)
            return False
        except asyncio.CancelledError:
            self.log.close()
            raise
        return True

    async def _configure(self, image: Image) -> None:
        """Environment and command line, as soon as what they need exists."""
        while True:
            try:
                base = self._base(image)
                variables = await environment.resolve(self.pod.node.client, self.pod.observed, self.spec, base)
                self._command = command.of_container(self.spec, image.programs, variables, self.pod.root)
                self._variables = _with_paths_of(base, variables)
                return
            except ConfigurationError as error:
                self.event("Warning", "Failed", f"Error: {error}")
                self._wait("CreateContainerConfigError", str(error))
                await clock.sleep(CONFIGURATION_SECONDS)

    def _base(self, image: Image) -> dict[str, str]:
        """The pod's environment, with what came with this container's devices and image."""
        devices = dict(self.pod.devices.get(self.name, {}))
        folders = [folder for folder in (devices.pop("PATH", ""), image.path) if folder]
        pods = self.pod.variables
        limit = ((self.spec.get("resources") or {}).get("limits") or {}).get("memory")
        memory = {MEMORY_LIMIT: str(limit), OOM_KILL: str(self._oom_kill)} if limit else {}
        return {**pods, **devices, **memory, "PATH": ":".join([*folders, pods["PATH"]])}

    async def _run(self) -> None:
        assert self._process is not None
        self.state = {"running": {"startedAt": now()}}
        self.event("Normal", "Started", "Container started")
        self.started = "startupProbe" not in self.spec
        self.ready = self.started and "readinessProbe" not in self.spec
        self.pod.changed()
        watching = asyncio.create_task(self._watch_probes())
        try:
            await asyncio.wait({self._process.exited})
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        self.record_exit()

    def record_exit(self) -> None:
        """The process has ended: its exit is the container's state."""
        assert self._process is not None
        assert self.log is not None
        code = self._process.exited.result()
        self.log.close()
        killed = self._oom_kill.exists()
        self._oom_kill.unlink(missing_ok=True)
        self._terminated(code, "OOMKilled" if killed else "Error" if code else "Completed", "")

    def _terminated(self, code: int, reason: str, message: str) -> None:
        moment = now()
        terminated: Object = {
            "exitCode": code,
            "reason": reason,
            "startedAt": self.state.get("running", {}).get("startedAt", moment),
            "finishedAt": moment,
            "containerID": self._id,
            **({"message": message} if message else {}),
        }
        self.ready = self.started = False
        self.state = {"terminated": terminated}
        self.pod.changed()
        self._process = None

    def _wait(self, reason: str, message: str) -> None:
        self.state = {"waiting": {"reason": reason, "message": message}}
        self.pod.changed()

    def event(self, kind: str, reason: str, message: str) -> None:
        """An event about this container."""
        field = "initContainers" if self.init else "containers"
        self.pod.node.recorder.record(self.pod.observed, f"spec.{field}{{{self.name}}}", kind, reason, message)

    # Its probes

    async def _watch_probes(self) -> None:
        if "startupProbe" in self.spec:
            started = asyncio.Event()

            def decided(success: bool) -> None:
                if success:
                    started.set()
                else:
                    self._restart("startup")

            probing = asyncio.create_task(self._probe("startup", decided))
            try:
                await started.wait()
            finally:
                probing.cancel()
                await asyncio.gather(probing, return_exceptions=True)
            self.started = True
            self.ready = "readinessProbe" not in self.spec
            self.pod.changed()
        await asyncio.gather(
            *(
                self._probe(kind, decided)
                for kind, decided in (("readiness", self._set_ready), ("liveness", self._set_alive))
                if f"{kind}Probe" in self.spec
            )
        )

    async def _probe(self, kind: str, decided: Callable[[bool], None]) -> None:
        ports = {port["name"]: port["containerPort"] for port in self.spec.get("ports") or () if "name" in port}
        title = kind.capitalize()
        await probes.watch(
            self.spec[f"{kind}Probe"],
            probes.Target(self.pod.address, ports, self.execute),
            failed=lambda text: self.event("Warning", "Unhealthy", f"{title} probe failed: {text}"),
            decided=decided,
        )

    def _set_ready(self, ready: bool) -> None:
        if ready != self.ready:
            self.ready = ready
            self.pod.changed()

    def _set_alive(self, alive: bool) -> None:
        if not alive:
            self._restart("liveness")

    def _restart(self, kind: str) -> None:
        self.event("Normal", "Killing", f"Container {self.name} failed {kind} probe, will be restarted")
        self.signal()
        grace = self.pod.spec.get("terminationGracePeriodSeconds", 30)
        assert self._process is not None
        asyncio.get_running_loop().call_later(clock.scaled(grace), self._process.kill)

    async def execute(self, tokens: list[str], timeout: float) -> str | None:
        """Run a command beside the container's program; None when it ends with 0, else what it wrote."""
        written = bytearray()
        argv = command.in_container(tokens, self.pod.root)
        try:
            process = await Process.start(argv, env=self._variables, cwd=self.pod.root, sink=written.extend)
        except StartError as error:
            return EXEC_FAILED.format(error)
        try:
            done, _ = await asyncio.wait({process.exited}, timeout=timeout)
        finally:
            process.kill()
            await asyncio.wait({process.exited})
        if not done:
            return f'command timed out: "{" ".join(tokens)}" timed out after {duration(timeout)}'
        return None if process.exited.result() == 0 else written.decode(errors="replace")

    # Its end

    def signal(self) -> None:
        """Ask it to end: SIGTERM."""
        if self._process is not None:
            self._process.terminate(init=self._command.init)

    def kill(self) -> None:
        """End it: SIGKILL."""
        if self._process is not None:
            self._process.kill()

    async def ended(self) -> None:
        """Return once its process, if any, is gone, and its exit is recorded."""
        if self._process is not None:
            await asyncio.wait({self._process.exited})
            self.record_exit()


def _with_paths_of(base: dict[str, str], variables: dict[str, str]) -> dict[str, str]:
    """A pod that sets PYTHONPATH adds to what every pod needs."""
    own = variables.get("PYTHONPATH", "")
    return variables if own == base["PYTHONPATH"] else {**variables, "PYTHONPATH": f"{base['PYTHONPATH']}:{own}"}
