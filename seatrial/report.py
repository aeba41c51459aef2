"""What the user reads at the end: pure functions of the record, so that they say the same of an old run."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from seatrial.verdict import Verdict

Line = tuple[str, dict[str, bool]]
"""A line of text, and how pytest's terminal writer shows it."""

SANDBOX = "THE TARGET IS A SANDBOX: this says something of the suite, nothing of a cluster of yours"

INTERRUPTED = 2
"""The exit code of a run that a signal ended."""
LONGEST = 120
"""Columns of a line with checks on it; with more than fit they are listed by phase."""
_SHOWN: dict[str, tuple[str, dict[str, bool]]] = {
    Verdict.PASS: ("PASS", {"green": True}),
    Verdict.FAIL: ("FAIL", {"red": True, "bold": True}),
    Verdict.BLOCKED: ("BLOCKED", {"red": True}),
    Verdict.ERROR: ("ERROR", {"yellow": True, "bold": True}),
    Verdict.NOT_APPLICABLE: ("N/A", {"yellow": True}),
}


def write(run: Mapping[str, Any], terminal: Any) -> None:
    """Print the end of the run through pytest's terminal reporter."""
    terminal.write_sep("=", f"sea trial {run['run']}")
    width = terminal._tw.fullwidth if terminal.isatty else None
    for text, markup in lines(run, width):
        terminal.write_line(text, **markup)


def lines(run: Mapping[str, Any], width: int | None = None) -> list[Line]:
    """The whole end: verdicts, causes, errors, warnings, what is left, time per phase, what was not proven.

    `width`: columns of the terminal, which the table of verdicts keeps within; a claim that is cut stands in the docs.
    """
    return [
        *((text[:width], markup) for text, markup in verdicts(run["checks"])),
        *_causes(run),
        *_errors(run["checks"]),
        *_said(run["checks"]),
        *_left(run),
        *[(f"WORKER DIED    {one}: its checks are errors", {"yellow": True}) for one in run["lost_workers"]],
        ("", {}),
        (f"time           {_times(run['checks'])}", {}),
        (f"record         {run['record']}", {}),
        *[(f"NOT WHOLE      {one}", {"red": True}) for one in [run.get("unwritten")] if one],
        *_not_proven(run["checks"]),
        *[(SANDBOX, {"yellow": True}) for line in run["head"] if line == SANDBOX],
    ]


def verdicts(checks: Sequence[Mapping[str, Any]]) -> Iterable[Line]:
    width = max((len(check["id"]) for check in checks), default=0)
    for check in checks:
        word, markup = _SHOWN[check["verdict"]]
        yield f"{word:<8} {check['id']:<{width}} {check['seconds']:>7.1f} s  {check['claim']}", markup


def _causes(run: Mapping[str, Any]) -> Iterable[Line]:
    """Each cause once, with what failed by it and what it blocked; then what failed without a known cause."""
    for key, cause in run["causes"].items():
        yield from _cause(cause, [check for check in run["checks"] if check["cause"] == key], run.get("gone", ()))
    for check in run["checks"]:
        if check["cause"] is None and check["verdict"] in (Verdict.FAIL, Verdict.BLOCKED):
            yield "", {}
            yield _heading(check)
            yield f"  because   {check['line']}", {}
            yield from _given(("do", check["hint"] or check["do"]), then="pytest --lf")


def _cause(cause: Mapping[str, Any], checks: Sequence[Mapping[str, Any]], gone: Sequence[str]) -> Iterable[Line]:
    failed = [check for check in checks if check["verdict"] == Verdict.FAIL]
    blocked = [check for check in checks if check["verdict"] == Verdict.BLOCKED]
    yield "", {}
    for check in failed or blocked[:1]:
        yield _heading(check)
    yield f"  cause     {cause['line']}  ({'certain' if cause['certain'] else 'not certain'})", {}
    for number, evidence in enumerate(cause["evidence"]):
        yield f"  {'evidence' if not number else '':<9} {evidence}", {}
    yield from _given(("look", cause["look"]))
    if any(name.rpartition("/")[2] in cause["look"] for name in gone):  # of an object: "pods models/seatrial-…"
        yield f"  {'':<9} (clean-up has removed it since; to look, repeat it: pytest --lf --keep)", {}
    yield from _given(("do", cause["do"] or next((check["hint"] for check in failed), "")), then="pytest --lf")
    if rest := blocked if failed else blocked[1:]:
        head = f"BLOCKED   {len(rest)} check{'s' if len(rest) > 1 else ''} by it"
        yield from _listed(head, [check["id"] for check in rest], {"red": True})


def _errors(checks: Sequence[Mapping[str, Any]]) -> Iterable[Line]:
    """Each reason once, with all the checks that it kept from being judged."""
    groups: dict[tuple[str, str, str, str], list[str]] = {}
    for check in checks:
        if check["verdict"] == Verdict.ERROR:
            groups.setdefault((check["reason"], check["line"], check["source"], check["do"]), []).append(check["id"])
    for (reason, line, source, do), names in groups.items():
        yield "", {}
        yield from _listed(f"ERROR ({reason}) ", names, {"yellow": True, "bold": True}, colon="")
        yield f"  because   {line}", {}
        yield from _given(("source", source), ("do", do))


def _said(checks: Sequence[Mapping[str, Any]]) -> Iterable[Line]:
    said = set()  # what two checks stand on is said by the first
    for check in checks:
        for line in check["warnings"]:
            yield f"WARNING  {check['id']}: {line}", {"yellow": True}
        for line in check["notes"]:
            if line not in said:
                yield f"NOTE     {check['id']}: {line}", {}
            said.add(line)


def _left(run: Mapping[str, Any]) -> Iterable[Line]:
    """What is left, kept, or on its way out, and the command that removes it."""
    left, kept, terminating = run["left"], run.get("kept", ()), run.get("terminating", ())
    if left or kept or terminating:
        yield "", {}
    for one in left:
        yield f"LEFT BEHIND    {one['kind']} {one['name']}: {one['why']}", {"red": True, "bold": True}
        for number, line in enumerate(one.get("type", "").splitlines()):
            yield f"  {'' if number else 'type':<9} {line}", {}
    for one in kept:
        yield f"KEPT           {one['kind']} {one['name']}", {"yellow": True}
    for line in terminating:
        yield f"ENDING         {line}", {}
    if run.get("exit") == INTERRUPTED and not (left or kept):
        yield f"nothing of run {run['run']} is left", {"green": True}
    if (left or kept) and run.get("sweep"):
        yield f"  {'sweep':<9} {run['sweep']}", {}


def _times(checks: Sequence[Mapping[str, Any]]) -> str:
    phases: dict[str, float] = {}
    for check in checks:
        phases[check["phase"]] = phases.get(check["phase"], 0.0) + check["seconds"]
    return ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in phases.items())


def _not_proven(checks: Sequence[Mapping[str, Any]]) -> Iterable[Line]:
    """The last lines: what this run does not prove, and why."""
    facts: dict[str, list[str]] = {}
    for check in checks:
        if check["verdict"] == Verdict.NOT_APPLICABLE:
            facts.setdefault(check["line"], []).append(check["id"])
    red = [check["id"] for check in checks if check["verdict"] not in (Verdict.PASS, Verdict.NOT_APPLICABLE)]
    for fact, names in [*facts.items(), *([("see above", red)] if red else [])]:
        text = f"NOT PROVEN     {', '.join(names)}: {fact}"
        if len(text) <= LONGEST:
            yield text, {"yellow": True}
        else:
            yield from _listed(f"NOT PROVEN     {fact}", names, {"yellow": True})
    if not facts and not red:
        yield f"proven         {len(checks)} of {len(checks)} selected checks", {"green": True}


def _listed(head: str, names: Sequence[str], markup: dict[str, bool], colon: str = ":") -> Iterable[Line]:
    """The checks behind `head`, on its line where they fit; else by phase, and none is cut off."""
    text = f"{head}{colon} {', '.join(names)}"
    if len(text) <= LONGEST:
        yield text, markup
        return
    yield f"{head}{colon}", markup
    phases: dict[str, list[str]] = {}
    for name in names:
        phase, _, check = name.partition("/")
        phases.setdefault(phase, []).append(check)
    for phase, checks in phases.items():
        yield from (
            (line, markup)
            for line in textwrap.wrap(
                f"{phase} ({len(checks)}): {', '.join(checks)}",
                LONGEST,
                initial_indent=" " * 10,
                subsequent_indent=" " * 12,
                break_long_words=False,
            )
        )


def _heading(check: Mapping[str, Any]) -> Line:
    word, markup = _SHOWN[check["verdict"]]
    return f"{word:<9} {check['id']}  {check['seconds']:.0f} s", markup


def _given(*fields: tuple[str, str], then: str = "") -> Iterable[Line]:
    for name, value in fields:
        if value:
            yield f"  {name:<9} {value.rstrip('.')}{f'; then: {then}' if then else ''}", {}
