"""Each fault turns the right checks red, with the right first cause; and each check has a fault that turns it red."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dummies import ROOT, Ended, clean_environment
from rows import NOT_APPLICABLE, ROWS, not_applicable
from rows.llm import TIER_B
from rows.row import LIFECYCLES, Row
from sandboxes import Sandbox, judged

HERE = [row for row in ROWS if not (row.long_proof and row.fails and row.faults)]
"""The proof runs rows of faults at full scale; once is enough."""


LONGEST_RUN = 300.0


def marks(row: Row) -> list[pytest.MarkDecorator]:
    """Those of a sandbox of a kind of their own stay on one worker, which starts it once."""
    place = [pytest.mark.xdist_group("+".join(row.words))] if row.words else []
    return [*place, pytest.mark.prove, pytest.mark.timeout(LONGEST_RUN + 100)] if row.long_proof else place


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name, marks=marks(row)) for row in HERE])
def test_fault(deployed: Callable[..., Sandbox], tmp_path: Path, row: Row) -> None:
    run = run_of(deployed(*row.words), tmp_path, row, *row.select)
    as_told(row, run)
    assert re.search(re.escape(row.told).replace("…", ".*"), run.out), run.out


def run_of(one: Sandbox, folder: Path, row: Row, *select: str) -> Ended:
    """A run while the row's faults are there; what it had to leave is swept when they are healed."""
    with one.broken(*row.faults):
        exported = {name: value for name, value in one.environment().items() if name not in row.unset}
        run = judged(folder, *row.given, *select, **({"timeout": LONGEST_RUN} | exported))
    if run.run["left"] and row.faults:
        one.sweep(folder, run)
    return run


def as_told(row: Row, run: Ended) -> None:
    """The run ended as the row says, as far as it selected what the row names."""
    checks = {check["id"].partition("/")[2]: check for check in run.run["checks"]}
    expected = dict.fromkeys(not_applicable(row), "not applicable")
    expected |= dict.fromkeys(row.blocks, "blocked") | dict.fromkeys(row.errors, "error")
    verdicts = {name: check["verdict"] for name, check in checks.items() if check["verdict"] != "pass"}
    fails = {name: line for name, line in row.fails.items() if name in verdicts or name not in row.perhaps}
    expected |= dict.fromkeys(fails, "fail")
    assert verdicts == {name: verdict for name, verdict in expected.items() if name in checks}, run.out
    for name, line in fails.items():
        assert name not in checks or line in checks[name]["line"], f"{name} says nothing of {line!r}\n{run.out}"
    for name in row.errors:
        assert name not in checks or row.because in checks[name]["line"], run.out
    assert {checks[name]["line"] for name in row.blocks if name in checks} <= {
        checks[name]["line"] for name in fails if name in checks
    }, run.out
    left = row.left and not checks.keys().isdisjoint((*LIFECYCLES, *TIER_B))
    code = 1 if row.fails else 3 if row.errors else 0
    ended = f"exit {run.code}, and left behind: {[one['name'] for one in run.run['left']]}"
    assert (run.code, bool(run.run["left"])) == (code, left), f"{ended}\n{run.out}"
    assert "Traceback" not in run.out


def collected() -> set[str]:
    """The checks' names, without their phase."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q"]
    listed = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True).stdout
    found = {line.partition("::test_")[2] for line in listed.splitlines() if "::" in line}
    assert found, listed
    return found


def test_every_check_has_a_fault() -> None:
    red = {name for row in ROWS if not row.long_proof for name in row.fails}
    never = {"permissions": "see test_permissions", "only_v2_completions_are_used": "of the suite itself: see test_llm"}
    assert collected() - red == set(never)


def test_every_row_speaks_of_checks() -> None:
    named = {name for row in ROWS for name in (*row.fails, *row.blocks, *row.errors, *row.judged, *row.unjudged)}
    named |= {name for one in NOT_APPLICABLE for name in one.checks}
    assert named - collected() == set()
