"""``python -m seatrial docs``: writes docs/checks.md from the checks' docstrings, so that nothing is typed twice."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from seatrial.checks import Check
from seatrial.runbook import DELIVERED, STEPS

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "checks.md"

_HEAD = """\
# The checks

Generated from the docstrings in `tests/` by `python -m seatrial docs`: edit those, not this page. A check's id is its
phase (the module) and its name. *Runbook* is the step of Model Engine's smoke tests (R0) that it automates.
"""


def checks() -> Iterator[Check]:
    """Every check in `tests/`, in the order of its file, read without running anything."""
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield Check.documented(f"tests/{path.name}::{node.name}", ast.get_docstring(node) or "")


def page() -> str:
    """The whole page."""
    every = list(checks())
    lines = [_HEAD]
    for phase in dict.fromkeys(check.phase for check in every):
        lines += [f"## {phase}", ""]
        for check in (one for one in every if one.phase == phase):
            lines += [
                f"### {check.id}",
                "",
                f"{check.claim}",
                "",
                f"*Runbook*: {check.runbook}. *Hint*: {check.hint}",
                "",
            ]
    lines += ["## The runbook, step by step", "", "| step | what | checks |", "|---|---|---|"]
    for step, what in STEPS.items():
        found = [f"`{check.id}`" for check in every if check.runbook == f"R0 {step}"]
        lines.append(f"| {step} | {what} | {', '.join(found) if step in DELIVERED else 'to come'} |")
    return "\n".join(lines) + "\n"


def write() -> int:
    """Write the page; the exit code."""
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)} is written from {sum(1 for _ in checks())} checks")
    return 0
