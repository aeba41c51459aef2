"""A program that runs in a pod: a session of its own, tied to the life of this process."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from .fork_server import GUARD, LET_GO
from .forks import Forks

PR_SET_PDEATHSIG = 1
PRCTL = ctypes.CDLL(None).prctl


class StartError(Exception):
    """The program could not be started; the text is runc's."""


def tied(by: signal.Signals = signal.SIGKILL) -> Callable[[], None]:
    """What ties a child to the life of this process: between fork and exec. No other thread here could hold a lock."""
    parent = os.getpid()

    def tie() -> None:
        PRCTL(PR_SET_PDEATHSIG, by)
        if os.getppid() != parent:  # it died before the line above
            os._exit(128 + signal.SIGKILL)

    return tie


class Process:
    """Made by `start`. `exited` is a future with the container's exit code (128 + n for a signal n)."""

    def __init__(self, pid: int, ended: asyncio.Future[int], output: int, sink: Callable[[bytes], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self.pid = pid
        self.exited: asyncio.Future[int] = self._loop.create_future()
        self._output, self._sink = output, sink
        os.set_blocking(output, False)
        self._loop.add_reader(output, self._read)
        ended.add_done_callback(self._ended)

    @classmethod
    async def start(
        cls,
        argv: list[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        sink: Callable[[bytes], None],
        forks: Forks | None = None,
    ) -> Process:
        """Start `argv`; stdout and stderr go to `sink` as they come. Returns once it runs; raises `StartError`."""
        output, output_end = os.pipe()
        try:
            if forks is not None and forks.take(argv):
                pid, ended = await forks.fork(argv, env, cwd, output_end)
            else:
                pid, ended = _spawned(argv, env, cwd, output_end, forks)
        except BaseException:
            os.close(output)
            raise
        finally:
            os.close(output_end)
        return cls(pid, ended, output, sink)

    def terminate(self, *, init: bool) -> None:
        """SIGTERM as a container's process 1 has it: an init hands it on to the program and all of its group; a program
        without one gets it only if it has a handler, as the kernel drops it otherwise."""
        if init:
            self._signal(os.killpg, signal.SIGTERM)
        else:
            self._signal(self._to_handler, signal.SIGTERM)

    @staticmethod
    def _to_handler(pid: int, number: int) -> None:
        """Send a signal if the program has installed a handler for it."""
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        caught = next(line.split()[1] for line in status if line.startswith("SigCgt:"))
        if int(caught, 16) >> (number - 1) & 1:
            os.kill(pid, number)

    def kill(self) -> None:
        """SIGKILL to the whole group."""
        self._signal(os.killpg, signal.SIGKILL)

    def _signal(self, send: Callable[[int, int], None], number: signal.Signals) -> None:
        if not self.exited.done():
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # reaped, and nobody has been told yet
                send(self.pid, number)

    def _read(self) -> bool:
        """Hand on one piece of what is there, so that a talkative program does not keep the loop; False: nothing."""
        try:
            data = os.read(self._output, 1 << 16)
        except BlockingIOError:
            return False
        if data:
            self._sink(data)
        else:
            self._loop.remove_reader(self._output)
        return bool(data)

    def _ended(self, ended: asyncio.Future[int]) -> None:
        """Its last words are still in the pipe."""
        while self._read():
            pass
        self._loop.remove_reader(self._output)
        os.close(self._output)
        self.exited.set_result(ended.result())


def _spawned(
    argv: list[str], env: Mapping[str, str], cwd: Path, output: int, guard: Forks | None
) -> tuple[int, asyncio.Future[int]]:
    """A process and what will be its exit code. `StartError`."""
    try:
        popen = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=env,
            cwd=cwd,
            start_new_session=True,
            preexec_fn=tied(),
        )
    except OSError as error:
        raise StartError(f'exec: "{argv[0]}": {_reason(argv[0], error)}') from error
    if guard is not None:
        guard.note(GUARD, popen.pid)
    loop, handle = asyncio.get_running_loop(), os.pidfd_open(popen.pid)
    ended: asyncio.Future[int] = loop.create_future()

    def reap() -> None:
        """The first process has ended: nothing of a container outlives it."""
        loop.remove_reader(handle)
        os.close(handle)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(popen.pid, signal.SIGKILL)
        if guard is not None:
            guard.note(LET_GO, popen.pid)
        code = popen.wait()
        ended.set_result(code if code >= 0 else 128 - code)

    loop.add_reader(handle, reap)
    return popen.pid, ended


def _reason(program: str, error: OSError) -> str:
    """In runc's words."""
    if isinstance(error, FileNotFoundError):
        return f"stat {program}: no such file or directory" if "/" in program else "executable file not found in $PATH"
    return (error.strerror or "").lower()
