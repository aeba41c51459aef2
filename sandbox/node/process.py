"""A program that runs in a pod: a session of its own, tied to the life of this process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

PID1 = Path(__file__).with_name("pid1.py")


class StartError(Exception):
    """The program could not be started; the text is runc's."""


class Process:
    """Made by `start`. `exited` is a future with the container's exit code (128 + n for a signal n)."""

    def __init__(self, popen: subprocess.Popen[bytes], output: int, sink: Callable[[bytes], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self.pid = popen.pid
        self.exited: asyncio.Future[int] = self._loop.create_future()
        self._popen, self._output, self._sink = popen, output, sink
        self._handle = os.pidfd_open(popen.pid)
        self._loop.add_reader(self._handle, self._reap)
        os.set_blocking(output, False)
        self._loop.add_reader(output, self._read)

    @classmethod
    async def start(
        cls, argv: list[str], *, env: Mapping[str, str], cwd: Path, sink: Callable[[bytes], None]
    ) -> Process:
        """Start `argv`; stdout and stderr go to `sink` as they come. Returns once it runs; raises `StartError`."""
        output, output_end = os.pipe()
        error, error_end = os.pipe()
        try:
            popen = subprocess.Popen(
                [sys.executable, "-I", "-S", str(PID1), str(os.getpid()), str(error_end), *argv],
                stdin=subprocess.DEVNULL,
                stdout=output_end,
                stderr=output_end,
                env=env,
                cwd=cwd,
                pass_fds=(error_end,),
                start_new_session=True,
            )
        finally:
            os.close(output_end)
            os.close(error_end)
        process = cls(popen, output, sink)
        try:
            text = await _read_to_end(error)
        except asyncio.CancelledError:
            process.kill()
            await asyncio.wait({process.exited})
            raise
        finally:
            os.close(error)
        if text:
            await process.exited
            raise StartError(text)
        return process

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
            with contextlib.suppress(ProcessLookupError):
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

    def _reap(self) -> None:
        """The first process has ended: nothing of a container outlives it, and its last words are still in the pipe."""
        self._loop.remove_reader(self._handle)
        os.close(self._handle)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        code = self._popen.wait()
        while self._read():
            pass
        self._loop.remove_reader(self._output)
        os.close(self._output)
        self.exited.set_result(code if code >= 0 else 128 - code)


async def _read_to_end(fd: int) -> str:
    """Everything from a pipe until its writers have closed it."""
    loop = asyncio.get_running_loop()
    text = bytearray()
    os.set_blocking(fd, False)
    while True:
        readable = asyncio.Event()
        loop.add_reader(fd, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(fd)
        data = os.read(fd, 1 << 16)
        if not data:
            return text.decode()
        text += data
