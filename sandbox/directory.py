"""The directory of a sandbox: made by its supervisor, removed with it or, after a SIGKILL, by the next command.

It appears and disappears whole, by a rename: while it is filled or emptied it has the name of the process that does so.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

OWNER = "supervisor"  # the file with its supervisor's `life`


class NameTakenError(Exception):
    """A sandbox of this name is up."""


def base() -> Path:
    """This user's folder of sandboxes, one directory each."""
    return Path(tempfile.gettempdir()) / f"seatrial-sandbox-{os.getuid()}"


def started(pid: int) -> str:
    """When process `pid` began, in clock ticks since boot; "" when it does not run."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def life() -> str:
    """This process, by its id and its start: ids come again."""
    return f"{os.getpid()}.{started(os.getpid())}"


def make(name: str) -> Path:
    """A directory for this process's sandbox, readable by its user alone. NameTakenError."""
    base().mkdir(mode=0o700, exist_ok=True)
    remove_stale()
    draft = base() / f".{life()}"
    draft.mkdir(mode=0o700)
    (draft / OWNER).write_text(life())
    try:
        return draft.rename(base() / name)
    except OSError as error:
        shutil.rmtree(draft)
        raise NameTakenError(f"sandbox {name!r} is already up: python -m sandbox down {name}") from error


def alive(path: Path) -> bool:
    """Whether the process lives that a directory belongs to."""
    try:
        owner = path.name[1:] if path.name.startswith(".") else (path / OWNER).read_text()
    except FileNotFoundError:
        return False
    pid, start = owner.split(".")
    return started(int(pid)) == start


def remove(path: Path) -> None:
    """Remove a directory, and what its links lead to: files that another user must reach lie elsewhere."""
    doomed = base() / f".{life()}"
    try:
        path.rename(doomed)
    except FileNotFoundError:  # another command was faster
        return
    for entry in doomed.iterdir():
        if entry.is_symlink():
            shutil.rmtree(entry.resolve(), ignore_errors=True)
    shutil.rmtree(doomed)


def remove_stale() -> None:
    """Remove the directories that killed processes left."""
    for path in base().glob("*"):
        if not alive(path):
            remove(path)
