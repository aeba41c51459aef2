"""``python -m seatrial summary RUN``: a run as Markdown, for a CI job's page; a pure function of its record."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from seatrial import alive, report
from seatrial.journal import open_entries
from seatrial.origin import began
from seatrial.outcome import Outcome
from seatrial.record import Event, events
from seatrial.run import started
from seatrial.verdict import BadSettings, Verdict

FENCE = "````"
"""Longer than any that a cluster's own words are likely to hold."""


def read(directory: Path) -> str:
    """The summary of the run whose record is in `directory`; `BadSettings` if there is no such run.

    One that was ended by force has written no ``run.json``: what it had judged by then is in its events.
    """
    if not directory.is_dir():
        raise BadSettings(f"there is no record {directory}", source="RUN", do=_DO)
    path = directory / "run.json"
    if path.exists():
        return markdown(json.loads(path.read_text(encoding="utf-8")))
    if not _is_record(directory):
        raise BadSettings(f"{directory} is no record of a run", source="RUN", do=_DO)
    return unfinished(directory.name, list(events(directory)), goes_on=bool(alive.goes_on(directory)))


def markdown(run: Mapping[str, Any]) -> str:
    """A heading with the counts, and the report as the terminal has it."""
    body = (text for text, _ in report.lines(run))
    return _page(f"{run['run']}: {_counts(run['checks'])} (exit {run['exit']})", body)


def unfinished(run_id: str, happened: list[Event], *, goes_on: bool) -> str:
    """What can be said of a run that has not said it itself."""
    refused = next((event for event in happened if event["kind"] == "end" and event.get("line")), None)
    if refused:
        return f"## sea trial {run_id}: nothing was judged (exit {refused['code']})\n\n{refused['line']}\n"
    begun = began(happened)
    checks = list(_judged(begun.get("checks", ()), happened))
    told = [_counts(checks)] if checks else []
    rest = len(begun.get("checks", ())) - len(checks)
    told += [f"{rest} not judged" if checks else "nothing was judged"] if rest or not checks else []
    how = "goes on" if goes_on else "ended by force"
    left = len(list(open_entries(happened)))
    lines = [] if goes_on else [_left(left, begun.get("sweep", ""))]
    body = [text for text, _ in report.verdicts(checks)]
    return _page(f"{run_id}: {how}, {', '.join(told)}", body) + "".join(f"\n{line}\n" for line in lines)


def _judged(checks: Iterable[Mapping[str, Any]], happened: Iterable[Event]) -> Iterable[dict[str, Any]]:
    """Those of `checks` that came to a verdict; one whose set-up alone has passed did not."""
    names = [field.name for field in fields(Outcome)]
    found: dict[str, Outcome] = {}
    seconds: Counter[str] = Counter()
    for event in happened:
        if event["kind"] != "phase":
            continue
        seconds[event["check"]] += event["seconds"]
        outcome = Outcome.from_data({name: event[name] for name in names})
        if event["when"] != "setup" or outcome.verdict is not Verdict.PASS:
            found[event["check"]] = outcome.worse(found.get(event["check"]))
    for check in checks:
        if outcome_of := found.get(check["id"]):
            yield {**check, "verdict": outcome_of.verdict, "seconds": seconds[check["id"]]}


def _left(count: int, sweep: str) -> str:
    if not count:
        return "By its record nothing of it is left."
    things = f"{count} thing{'s' if count > 1 else ''} may be left"
    return f"{things}; this removes them: `{sweep}`" if sweep else f"{things}, if its sandbox is still there."


def _counts(checks: Iterable[Mapping[str, Any]]) -> str:
    counts = Counter(check["verdict"] for check in checks)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])


def _page(heading: str, lines: Iterable[str]) -> str:
    body = "\n".join(lines)
    return f"## sea trial {heading}\n" + (f"\n{FENCE}text\n{body}\n{FENCE}\n" if body else "")


def _is_record(directory: Path) -> bool:
    try:
        started(directory.name)
    except ValueError:
        return False
    return any(directory.glob("events.*.jsonl"))


_DO = "name a run whose record is here, e.g. 3lg0t6ty4k"
