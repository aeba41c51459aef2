"""The one record of a run: every process appends its events as they happen, so that a killed run loses nothing."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seatrial.mask import masked_data
from seatrial.run import Run
from seatrial.verdict import NotJudged, Reason

Event = dict[str, Any]


class Record:
    """Appends this process's events to ``events.<worker>.jsonl`` in the run's directory (mode 0700).

    `trouble`: why one could not be written, the disk is full for one. The run goes on to its end then, so that what it
    made is removed, and nothing it judges from there on is proven.
    """

    def __init__(self, run: Run) -> None:
        run.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = run.directory / f"events.{run.worker}.jsonl"
        self._file = self.path.open("ab", buffering=0)
        self.check, self.trouble = "", ""
        self._cut = False
        self._lock = threading.Lock()  # a port-forward's threads have events, too

    def event(self, kind: str, *, ours: dict[str, Any] | None = None, needed: bool = False, **fields: Any) -> None:
        """One line: when (seconds since 1970), the check that runs, the kind of event and its fields, masked.

        `ours` are fields that hold names we made and are read back: they are never masked. Once the record is closed,
        nothing is written any more. Without a `needed` one nobody may go on: `NotJudged` where it cannot be written.
        """
        event = {
            "time": round(time.time(), 3),
            "check": self.check,
            "kind": kind,
            **masked_data(fields),
            **(ours or {}),
        }
        line = json.dumps(event, default=str) + "\n"
        with self._lock:
            if not self._file.closed and not self._write(line.encode()) and needed:
                raise self.unwritten

    @property
    def unwritten(self) -> NotJudged:
        """What is to be said of `trouble`."""
        line = f"the record cannot be written: {self.trouble}"
        do = "make room there, or name another directory: record_directory"
        return NotJudged(Reason.TOOL, line, source=str(self.path.parent), do=do)

    def _write(self, line: bytes) -> bool:
        """Whether all of it is on disk. After a line that was cut the next one begins anew."""
        whole = b"\n" + line if self._cut else line
        try:
            self._cut = self._file.write(whole) < len(whole)
        except OSError as error:
            self.trouble = error.strerror or str(error)
            return False
        if self._cut:
            self.trouble = self.trouble or "No space left on device"
        return not self._cut

    def close(self) -> None:
        """No event may follow."""
        self._file.close()


def events(directory: Path) -> Iterator[Event]:
    """All events of a run, of all its processes, in the order of their time; a line cut by a kill is left out."""
    found = []
    for path in directory.glob("events.*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                continue
    yield from sorted(found, key=lambda event: float(event["time"]))
