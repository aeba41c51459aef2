"""The kubelets' side of `fork_server`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .fork_server import ANSWER, NOTE, STARTED

KILLED = 137
NOBODY = {"POD_IP": "127.0.0.1", "POD_NAME": "", "POD_NAMESPACE": ""}
"""Whose network is the server's own, until a fork is a pod's."""
Begun = tuple[int, asyncio.Future[int]]


class Forks:
    """One server for all kubelets of a sandbox. `modules`: what programs import, as far as no pod's environment changes
    it; `environment`: what all pods share."""

    def __init__(self, modules: Sequence[str], environment: Mapping[str, str]) -> None:
        self._modules, self._environment = modules, {**environment, **NOBODY}
        self._number = 0
        self._starting: dict[int, asyncio.Future[Begun]] = {}
        self._running: dict[int, asyncio.Future[int]] = {}
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self, tie: Callable[[], None], log: Path) -> None:
        """Returns at once: programs are begun when it has its imports. `tie`: runs in it before it does; `log`: what
        it says itself."""
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, log.open("wb") as said:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.fork_server", str(theirs.fileno()), *self._modules],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                preexec_fn=tie,
            )
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    @staticmethod
    def take(argv: Sequence[str]) -> bool:
        """Whether it is a Python program without options for the interpreter."""
        return argv[0] == sys.executable and (argv[1] in ("-m", "-c") or argv[1][0] != "-")

    async def fork(self, argv: list[str], env: Mapping[str, str], cwd: Path, output: int) -> Begun:
        """The process, once it has begun, and what will be its exit code."""
        self._number += 1
        request = {"number": self._number, "argv": argv, "env": dict(env), "cwd": str(cwd)}
        written = os.memfd_create("request")
        try:
            os.write(written, json.dumps(request).encode())
            os.lseek(written, 0, os.SEEK_SET)
            socket.send_fds(self._socket, [b"."], [output, written])
        finally:
            os.close(written)
        started: asyncio.Future[Begun] = asyncio.get_running_loop().create_future()
        self._starting[self._number] = started
        try:
            return await started
        except asyncio.CancelledError:
            if not started.cancelled() and started.exception() is None:  # it has begun just now, and nobody will know
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(started.result()[0], signal.SIGKILL)
            raise

    def note(self, kind: bytes, group: int) -> None:
        """Have a process group that was started here ended when this process ends; or no longer."""
        with contextlib.suppress(OSError):  # the server has died, and all is lost
            self._socket.send(NOTE.pack(kind, group))

    async def stop(self) -> None:
        """End it, and with it whatever it has begun."""
        if self._popen is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._popen.kill()
            self._popen.wait()

    def _read(self) -> None:
        answer = self._socket.recv(ANSWER.size)
        if not answer:
            self._lost()
            return
        number, pid, status = ANSWER.unpack(answer)
        if status != STARTED:
            self._running.pop(pid).set_result(status)
            return
        ended = self._running[pid] = asyncio.get_running_loop().create_future()
        started = self._starting.pop(number)
        if started.cancelled():  # nobody waits for it any more
            os.killpg(pid, signal.SIGKILL)
        else:
            started.set_result((pid, ended))

    def _lost(self) -> None:
        """The server has died, and all it had begun with it."""
        asyncio.get_running_loop().remove_reader(self._socket)
        for ended in self._running.values():
            ended.set_result(KILLED)
        for started in self._starting.values():
            if not started.cancelled():
                started.set_exception(RuntimeError("the fork server has died"))
