"""What this run made or was about to make, on disk before it was made: a view of the record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from seatrial.record import Event, Record


@dataclass(frozen=True, eq=False)
class Entry:
    """One thing of ours: its `kind` (``endpoint``, ``bundle``, ``pod``), its unique `name`, and how to find it."""

    kind: str
    name: str
    how: dict[str, Any] = field(default_factory=dict)


class Journal:
    """Writes entries into this process's events."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def intend(self, kind: str, name: str, **how: Any) -> Entry:
        """Say that `name` is about to be made; call it before the request goes out. `NotJudged` if that fails."""
        self._record.event("journal", ours={"entry": "intended", "of": kind, "name": name, "how": how}, needed=True)
        return Entry(kind, name, how)

    def settled(self, entry: Entry, word: str = "gone") -> None:
        """`entry` needs no more work: it is ``gone``, was ``never made``, or is ``kept`` as nobody can delete it."""
        self._record.event("journal", ours={"entry": word, "of": entry.kind, "name": entry.name})


def open_entries(events: Iterable[Event]) -> Iterator[Entry]:
    """What was intended and is not settled, the youngest first."""
    entries: dict[tuple[str, str], Entry] = {}
    for event in events:
        if event["kind"] == "journal":
            key = (event["of"], event["name"])
            if event["entry"] == "intended":
                entries[key] = Entry(*key, event["how"])
            else:
                entries.pop(key, None)
    yield from reversed(entries.values())
