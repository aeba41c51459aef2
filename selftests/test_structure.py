"""What holds for the whole tree: who may import whom, what collecting costs, what every check says of itself."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dummies import ROOT, clean_environment

from seatrial import docs
from seatrial.checks import Check
from seatrial.runbook import BEYOND, DELIVERED, STEPS

SUITE, SANDBOX = ("seatrial", "fixtures", "payloads", "tests"), ("sandbox",)
FOLDERS = ("kube", "node", "backends", "model_engine", "faults")


IMPORT = re.compile(r"^\s*(?:from (\S+) import \(?([\w, ]*)|import (\S+))", re.M)


def imports(folder: str) -> Iterator[tuple[Path, str]]:
    """Every module that a file below `folder` imports, with the file."""
    for path in (ROOT / folder).rglob("*.py"):
        for module, names, plain in IMPORT.findall(path.read_text()):
            yield path, plain or module
            yield from ((path, f"{module}.{name.strip()}") for name in names.split(",") if name.strip())


@pytest.mark.parametrize(("folders", "others"), [(SUITE, SANDBOX), (SANDBOX, SUITE)])
def test_suite_and_sandbox_never_meet(folders: tuple[str, ...], others: tuple[str, ...]) -> None:
    """One misreading would sit in both, and agree with itself."""
    found = [one for folder in folders for one in imports(folder)]
    assert [(path, name) for path, name in found if name.partition(".")[0] in others] == []


def test_the_folders_of_the_sandbox_meet_only_in_up() -> None:
    found = [
        (path, name)
        for folder in FOLDERS
        for path, name in imports(f"sandbox/{folder}")
        for other in FOLDERS
        if other != folder and name.startswith(f"sandbox.{other}")
    ]
    assert found == []


def test_the_core_knows_no_product() -> None:
    """Only the command line beside pytest's does: the doctor shows what discovery finds, the pages what it needs."""
    core = [(path, name) for path, name in imports("seatrial") if "model_engine" not in path.parts]
    assert {path.name for path, name in core if name.startswith("seatrial.model_engine")} == {
        "docs.py",
        "doctor.py",
        "images.py",
    }


def test_collecting_imports_no_sdk() -> None:
    code = (
        "import sys, pytest; pytest.main(['--collect-only', '-q']);"
        "print(sorted({name.partition('.')[0] for name in sys.modules}"
        " & {'kubernetes', 'boto3', 'botocore', 'azure', 'redis', 'psycopg'}))"
    )
    command = [sys.executable, "-c", code]
    out = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True).stdout
    assert "test_sync_task_echoes" in out
    assert out.splitlines()[-1] == "[]"


def test_nothing_sleeps_outside_the_one_loop() -> None:
    sleeping = [
        path.relative_to(ROOT)
        for folder in ("seatrial", "fixtures", "tests")
        for path in (ROOT / folder).rglob("*.py")
        if "sleep(" in path.read_text()
    ]
    assert sleeping == [Path("seatrial/wait.py")]


def test_every_check_says_what_it_claims_and_what_to_do() -> None:
    for check in docs.checks():
        assert check.claim.endswith("."), check.id
        assert check.hint, check.id
        assert check.runbook == BEYOND or check.runbook.removeprefix("R0 ") in DELIVERED, check.id


def test_every_step_delivered_so_far_has_a_check() -> None:
    assert {check.runbook.removeprefix("R0 ") for check in docs.checks()} - {BEYOND} == set(DELIVERED)


def test_the_pages_are_as_generated() -> None:
    for path, text in docs.PAGES.items():
        assert path.read_text(encoding="utf-8") == text(), "make docs"


def test_make_and_help_name_every_page() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for path in docs.PAGES:
        assert (path.name in docs.WRITTEN, path.name in makefile) == (True, True), path.name


def test_every_module_says_what_it_is() -> None:
    said = re.findall(r"^\| \[\w+\]\(\.\./(\S+)\) \| (.*) \|$", docs.modules(), re.M)
    there = {str(path.relative_to(ROOT)) for folder in docs.LIBRARIES for path in (ROOT / folder).rglob("*.py")}
    assert {path for path, line in said if line} == there


def test_markers_are_counted_as_pytest_selects_them() -> None:
    """A module's `pytestmark` counts, too: the pages and pytest may not differ in what `-m writes` runs."""
    code = (
        "import json, pytest\n"
        "class Told:\n"
        "    def pytest_itemcollected(self, item):\n"
        "        print(json.dumps([item.nodeid, [one.name for one in item.iter_markers()]]))\n"
        "pytest.main(['--collect-only', '-q', '-q'], plugins=[Told()])"
    )
    command = [sys.executable, "-c", code]
    out = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True).stdout
    told = [json.loads(line) for line in out.splitlines() if line.startswith("[")]
    phases = docs.PHASES.keys()
    assert docs.marks() == {Check.documented(name, "").id: frozenset(found) - phases for name, found in told}
    assert "writes" in docs.marks()["tier_a/sync_task_echoes"]


def test_readme_knows_every_phase() -> None:
    assert {check.phase for check in docs.checks()} <= docs.PHASES.keys()


def test_the_steps_are_the_runbooks() -> None:
    folder = os.environ.get("SEATRIAL_REQUIREMENTS")
    if not folder:
        pytest.skip("the runbook is not here: SEATRIAL_REQUIREMENTS names no folder")
    text = next(Path(folder).glob("R0*")).read_text(encoding="utf-8")
    assert re.findall(r"^### (\d\.\d) ", text, re.M) == list(STEPS)


def test_no_body_of_a_check_is_long() -> None:
    for path in (ROOT / "tests").glob("test_*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                assert sum((one.end_lineno or 0) - one.lineno + 1 for one in node.body[1:]) <= 12, node.name
