"""What a killed run has left behind, asked of the kernel: nothing here goes by a name that the sandbox chose."""

from __future__ import annotations

import contextlib
import ctypes
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

PROC, SHARED_MEMORY = Path("/proc"), Path("/dev/shm")
PR_SET_CHILD_SUBREAPER = 36


@contextlib.contextmanager
def adopting() -> Iterator[None]:
    """Orphans among our descendants become our children, so that `descendants` misses none."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    try:
        yield
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def bury() -> None:
    """Wait for adopted children that have ended. Nobody else may wait for a child of ours at that time."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def descendants() -> set[int]:
    """The processes below this one that run."""
    parents = {}
    for path in PROC.glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            if state not in "ZX":
                parents[int(path.parent.name)] = int(parent)
    found: set[int] = set()
    level = {os.getpid()}
    while level := {pid for pid, parent in parents.items() if parent in level}:
        found |= level
    return found


def command(pid: int) -> str:
    """Its command line, as far as it still has one."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return (PROC / str(pid) / "cmdline").read_text().replace("\0", " ").strip()
    return ""


def claimed(pids: Iterable[int]) -> set[str]:
    """The kernel's numbers of the sockets that these processes hold: address claims and whatever listens."""
    held = set()
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for descriptor in (PROC / str(pid) / "fd").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    kind, _, number = os.readlink(descriptor).partition(":")
                    held |= {number.strip("[]")} if kind == "socket" else set()
    return held & (_claims().keys() | _listening().keys())


def sockets(numbers: set[str]) -> list[str]:
    """Those of `numbers` that still are there, by their addresses."""
    return [address for number, address in {**_claims(), **_listening()}.items() if number in numbers]


def shared_memory() -> set[str]:
    """Shared memory of a PostgreSQL that no process uses any more, of POSIX's kind and of System V's."""
    left = {str(path) for path in SHARED_MEMORY.glob("PostgreSQL.*") if os.access(path, os.W_OK)}
    if left:
        for path in PROC.glob("[0-9]*/maps"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                left -= {line.split()[-1] for line in path.read_text().splitlines() if str(SHARED_MEMORY) in line}
    names, *rows = ((PROC / "sysvipc/shm").read_text()).splitlines()
    segments = [dict(zip(names.split(), row.split(), strict=True)) for row in rows]
    ours = (one for one in segments if os.geteuid() in (0, int(one["uid"])))
    return left | {f"System V segment {one['shmid']}" for one in ours if one["nattch"] == "0"}


def directories(place: Path) -> list[Path]:
    """A sandbox's directories in a folder for temporary files: its own, in its user's, and its database's."""
    return [*place.glob("seatrial-sandbox-*/*"), *place.glob("seatrial-postgres-*")]


def until_nothing(seconds: float, place: Path, numbers: set[str], before: set[str]) -> tuple[float, list[str]]:
    """After how many seconds nothing was left, or what was left when they were over.

    `place`: the folder for the sandbox's files, `numbers`: what `claimed` said, `before`: what `shared_memory` said.
    """
    began = time.monotonic()
    while True:
        bury()
        left = [f"process {pid}: {command(pid)}" for pid in descendants()]
        left += [*sockets(numbers), *(shared_memory() - before), *map(str, directories(place))]
        taken = time.monotonic() - began
        if not left or taken > seconds:
            return taken, left
        time.sleep(0.05)


def _claims() -> dict[str, str]:
    rows = [line.split() for line in (PROC / "net/unix").read_text().splitlines()[1:]]
    return {fields[6]: fields[-1] for fields in rows if fields[-1].startswith("@seatrial-127.")}


def _listening() -> dict[str, str]:
    rows = [line.split() for line in (PROC / "net/tcp").read_text().splitlines()[1:]]
    return {fields[9]: f"listening at {fields[1]}" for fields in rows if fields[3] == "0A"}
