"""What a run came to, as ``run.json`` has it: the one thing that is shown, now and later."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from seatrial.checks import Check
from seatrial.ending import Ending
from seatrial.journal import Entry
from seatrial.outcome import Outcome
from seatrial.record import events
from seatrial.run import started
from seatrial.trial import Trial


def collect(
    trial: Trial,
    checks: Mapping[str, Check],
    outcomes: Mapping[str, Outcome],
    seconds: Mapping[str, float],
    *,
    head: Sequence[str],
    ending: Ending,
    lost: Sequence[str],
    code: int,
) -> dict[str, Any]:
    """The content of ``run.json``: one entry a check, each cause once, what was left, the exit code."""
    said: dict[tuple[str, str], dict[str, None]] = {}  # each line once, in order
    gone = set()
    for event in events(trial.run.directory):
        if event["kind"] == "journal" and event["entry"] == "gone":
            gone.add(event["name"])
        if event["kind"] in ("warning", "note"):
            said.setdefault((event["kind"], event["check"]), {})[event["line"]] = None
    data = {nodeid: outcomes[nodeid].data() for nodeid in checks}
    return {
        "run": trial.run.id,
        "started": started(trial.run.id),
        "ended": round(time.time(), 3),
        "exit": code,
        "record": str(trial.run.directory),
        "head": list(head),
        "checks": [
            {
                **vars(check),
                **{key: value for key, value in data[nodeid].items() if key != "trace"},
                "cause": (data[nodeid]["cause"] or {}).get("key"),
                "seconds": round(seconds.get(nodeid, 0.0), 3),
                "warnings": list(said.get(("warning", check.id), ())),
                "notes": list(said.get(("note", check.id), ())),
            }
            for nodeid, check in checks.items()
        ],
        "causes": {one["cause"]["key"]: one["cause"] for one in data.values() if one["cause"]},
        "left": [{**_told(entry), "why": why} for entry, why in ending.settled.left.items()],
        "kept": [_told(entry) for entry in ending.kept],
        "terminating": list(ending.settled.terminating),
        "gone": sorted(gone),
        "sweep": ending.opening.sweep,
        "lost_workers": list(lost),
    }


def _told(entry: Entry) -> dict[str, Any]:
    return {**entry.how, "kind": entry.kind, "name": entry.name}
