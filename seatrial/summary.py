"""``python -m seatrial summary RUN``: a finished run as Markdown, for a CI job's page; a pure function of run.json."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seatrial import report
from seatrial.verdict import BadSettings, Verdict

FENCE = "````"
"""Longer than any that a cluster's own words are likely to hold."""


def read(directory: Path) -> str:
    """The summary of the run whose record is in `directory`; `BadSettings` if there is no such run.

    A run that was ended by force has written no ``run.json``: that is what is said of it.
    """
    if not directory.is_dir():
        raise BadSettings(
            f"there is no record {directory}", source="RUN", do="name a run whose record is here, e.g. 3lg0t6ty4k"
        )
    path = directory / "run.json"
    if not path.exists():
        return ended_by_force(directory.name)
    return markdown(json.loads(path.read_text(encoding="utf-8")))


def markdown(run: Mapping[str, Any]) -> str:
    """A heading with the counts, and the report as the terminal has it."""
    counts = Counter(check["verdict"] for check in run["checks"])
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
    body = "\n".join(text for text, _ in report.lines(run))
    return f"## sea trial {run['run']}: {told} (exit {run['exit']})\n\n{FENCE}text\n{body}\n{FENCE}\n"


def ended_by_force(run_id: str) -> str:
    """What can be said of a run that could not say it itself."""
    return f"## sea trial {run_id}: ended by force, nothing was judged\n\n`python -m seatrial sweep --run {run_id}`\n"
