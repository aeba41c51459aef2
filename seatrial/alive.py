"""Which runs of this machine go on: each holds a lock in its record's directory, which no death leaves behind."""

from __future__ import annotations

import fcntl
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from seatrial.journal import open_entries
from seatrial.origin import Origin, began, made_at
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


def ended_by_force(directory: Path, here: Origin | None) -> Iterator[str]:
    """A line for each run in this place that did not end in order, with the command that removes what it left.

    Whether it was killed, left by a second Ctrl-C, or lost its machine, no record can know.
    """
    for path in sorted(directory.glob("*/")):
        if not _is_recent(path.name) or (path / "run.json").exists() or goes_on(path) is not False:
            continue
        happened = list(events(path))
        left = len(list(open_entries(happened)))
        begun = began(happened)
        there = made_at(begun)
        if left and begun.get("sweep") and here and there and here.is_same(there):
            things = f"{left} thing{'s' if left > 1 else ''}"
            yield f"run {path.name} was ended by force and has left {things}: {begun['sweep']}"


def _is_recent(name: str) -> bool:
    """Whether a directory is the record of a run that anybody may want to hear of."""
    try:
        return started(name) > time.time() - LONG_AGO
    except ValueError:
        return False
