"""Which runs of this machine go on: each holds a lock in its record's directory, which no death leaves behind."""

from __future__ import annotations

import fcntl
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from seatrial.journal import open_entries
from seatrial.record import events
from seatrial.run import started

LONG_AGO = 7 * 86_400.0
_LOCK = "alive"


def hold(directory: Path) -> IO[str]:
    """Say that the run with this record goes on, until the result is closed or this process ends."""
    lock = (directory / _LOCK).open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    lock.write(socket.gethostname())
    lock.flush()
    return lock


def goes_on(directory: Path) -> bool | None:
    """Whether the run with this record goes on; None if nothing here says so."""
    path = directory / _LOCK
    if not path.exists():
        return None
    with path.open() as lock:
        if lock.read() != socket.gethostname():  # a record that was brought here, or is on a disk of several machines
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def killed(directory: Path) -> Iterator[str]:
    """A line for each run among these records that was killed, with the command that removes what it left."""
    for path in sorted(directory.glob("*/")):
        if not _is_recent(path.name) or (path / "run.json").exists() or goes_on(path) is not False:
            continue
        happened = list(events(path))
        left = len(list(open_entries(happened)))
        sweep = next((event["sweep"] for event in happened if event["kind"] == "run"), "")
        if left and sweep:
            yield f"run {path.name} was killed and has left {left} thing{'s' if left > 1 else ''}: {sweep}"


def _is_recent(name: str) -> bool:
    """Whether a directory is the record of a run that anybody may want to hear of."""
    try:
        return started(name) > time.time() - LONG_AGO
    except ValueError:
        return False
