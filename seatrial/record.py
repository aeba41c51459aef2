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

Event = dict[str, Any]


class Record:
    """Appends this process's events to ``events.<worker>.jsonl`` in the run's directory (mode 0700)."""

    def __init__(self, run: Run) -> None:
        run.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = run.directory / f"events.{run.worker}.jsonl"
        self._file = self.path.open("a", buffering=1, encoding="utf-8")
        self.check = ""
        self._lock = threading.Lock()  # a port-forward's threads have events, too

    def event(self, kind: str, *, ours: dict[str, Any] | None = None, **fields: Any) -> None:
        """One line: when (seconds since 1970), the check that runs, the kind of event and its fields, masked.

        `ours` are fields that hold names we made and are read back: they are never masked. Once the record is closed,
        nothing is written any more.
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
            if not self._file.closed:
                self._file.write(line)

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
