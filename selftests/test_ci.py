"""What a CI is given: the workflows' scripts, the snippets of docs/ci.md, and a run's summary."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dummies import ROOT, Suite, clean_environment

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
SNIPPETS = (ROOT / "docs/ci.md").read_text()


def scripts(workflow: Path) -> Iterator[str]:
    """The shell scripts of all its steps."""
    document = yaml.safe_load(workflow.read_text())
    for job in document["jobs"].values():
        yield from (step["run"] for step in job["steps"] if "run" in step)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=[path.stem for path in WORKFLOWS])
def test_a_workflows_scripts_are_shell(workflow: Path) -> None:
    found = list(scripts(workflow))
    assert found
    for script in found:
        done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
        assert done.stderr == ""
        assert "${{" not in script, "an input in a script's text is code"


def test_what_the_workflows_and_snippets_call_exists() -> None:
    told = subprocess.run([sys.executable, "-m", "seatrial", "--help"], cwd=ROOT, capture_output=True, text=True).stdout
    texts = [SNIPPETS, *(path.read_text() for path in WORKFLOWS)]
    asked = {command for text in texts for command in re.findall(r"-m seatrial (\w+)", text)}
    assert asked
    assert {command for command in asked if not re.search(rf"^ +{command}\b", told, re.M)} == set()


def test_the_snippets_are_what_they_say() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", SNIPPETS, re.S)
    assert len(blocks) == 3
    github, gitlab, argo = map(yaml.safe_load, blocks)
    inputs: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/validate.yml").read_text())[True]
    assert github["jobs"]["validate"]["with"].keys() <= inputs["workflow_call"]["inputs"].keys()
    assert gitlab["validate"]["artifacts"]["reports"]["junit"] in gitlab["validate"]["script"][-1]
    assert argo["spec"]["backoffLimit"] == 0


def summary(run: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "seatrial", "summary", run]
    return subprocess.run(
        command, cwd=cwd, env=clean_environment() | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )


def test_a_run_as_markdown(tmp_path: Path) -> None:
    suite = Suite(tmp_path).write(
        tier_a='def test_one():\n    """It holds."""\n\n\ndef test_two():\n    assert 1 == 2\n'
    )
    run = suite.pytest().run["run"]
    done = summary(run, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"## sea trial {run}: 1 pass, 1 fail (exit 1)\n\n````text\nPASS     tier_a/one")
    assert "FAIL      tier_a/two" in done.stdout
    assert done.stdout.rstrip().endswith("````")


NO_MORE = {"reason": None, "source": "", "do": "", "cause": None, "trace": ""}
SWEEP = "python -m seatrial sweep --run 3lg0t6ty4k --delete --context prod"


def recorded(folder: Path, *happened: dict[str, Any]) -> None:
    """A record that no ``run.json`` ends."""
    record = folder / ".seatrial/3lg0t6ty4k"
    record.mkdir(parents=True)
    checks = [{"id": f"tier_a/{name}", "claim": "It holds."} for name in ("one", "two", "three", "four")]
    begun = {"kind": "run", "sweep": SWEEP, "checks": checks}
    lines = [{"time": number, "check": "", **event} for number, event in enumerate((begun, *happened))]
    (record / "events.main.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def phase(check: str, when: str, verdict: str, line: str = "") -> dict[str, Any]:
    """The event of a check's phase."""
    told = {"kind": "phase", "check": f"tier_a/{check}", "when": when, "seconds": 1.5}
    return {**told, "verdict": verdict, "line": line, **NO_MORE}


def test_a_run_that_was_ended_by_force_tells_what_it_had_judged(tmp_path: Path) -> None:
    recorded(
        tmp_path,
        phase("one", "setup", "pass"),
        phase("one", "call", "pass"),
        phase("two", "setup", "pass"),
        phase("two", "call", "fail", "it does not"),
        phase("three", "setup", "pass"),
        {"kind": "journal", "entry": "intended", "of": "endpoint", "name": "e", "how": {}},
    )
    done = summary("3lg0t6ty4k", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        "## sea trial 3lg0t6ty4k: ended by force, 1 pass, 1 fail, 2 not judged\n\n````text\nPASS "
    )
    assert "three" not in done.stdout
    assert done.stdout.rstrip().endswith(f"1 thing may be left; this removes them: `{SWEEP}`")


def test_a_run_that_judged_nothing(tmp_path: Path) -> None:
    recorded(tmp_path)
    said = "ended by force, nothing was judged\n\nBy its record nothing of it is left."
    assert summary("3lg0t6ty4k", tmp_path).stdout.strip() == f"## sea trial 3lg0t6ty4k: {said}"
    with (tmp_path / ".seatrial/3lg0t6ty4k/events.main.jsonl").open("a") as file:
        file.write(json.dumps({"time": 9, "kind": "end", "code": 4, "line": "there is no namespace 'modle'"}) + "\n")
    said = "nothing was judged (exit 4)\n\nthere is no namespace 'modle'"
    assert summary("3lg0t6ty4k", tmp_path).stdout.strip() == f"## sea trial 3lg0t6ty4k: {said}"


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ("nowhere", "there is no record .seatrial/nowhere (RUN)"),
        (".seatrial/", ".seatrial is no record of a run (RUN)"),
    ],
)
def test_a_folder_that_is_no_record(tmp_path: Path, run: str, said: str) -> None:
    recorded(tmp_path)
    done = summary(run, tmp_path)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith(f"python -m seatrial: {said}; name a run")
    assert done.stderr.count("\n") == 1
