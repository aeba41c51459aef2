"""Runs checks that are written down in a test as a suite of their own: the plug-in, seen from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

ROOT = Path(__file__).parent.parent

CONFTEST = """
import pytest
pytest.register_assert_rewrite("seatrial")
pytest_plugins = ["seatrial.plugin", *{plugins}]
"""


@dataclass
class Ended:
    """How a pytest run ended, by everything a user or a CI sees of it."""

    code: int
    out: str
    junit: dict[str, str] = field(default_factory=dict)
    """test name -> ``passed``, ``failure``, ``error``, ``skipped``."""
    run: dict[str, Any] = field(default_factory=dict)
    lastfailed: set[str] = field(default_factory=set)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Everything that stands in the record, of all processes."""
        files = sorted(Path(self.run["record"]).glob("events.*.jsonl"))
        return [json.loads(line) for path in files for line in path.read_text().splitlines()]

    @property
    def verdicts(self) -> dict[str, str]:
        """check id -> verdict, with the reason of an error in brackets."""
        return {
            check["id"]: check["verdict"] + (f" ({check['reason']})" if check["reason"] else "")
            for check in self.run.get("checks", [])
        }


@dataclass
class Suite:
    """A folder with a suite in it."""

    folder: Path

    def write(self, *, plugins: tuple[str, ...] = (), **modules: str) -> Suite:
        """Each module is a phase: ``tier_a="def test_x(): ..."``; a name ending in ``_plugin`` is one, not a phase."""
        (self.folder / "tests").mkdir(exist_ok=True)
        (self.folder / "conftest.py").write_text(CONFTEST.format(plugins=list(plugins)))
        (self.folder / "pytest.ini").write_text((ROOT / "pytest.ini").read_text())
        for name, text in modules.items():
            path = self.folder / (f"{name}.py" if name.endswith("_plugin") else f"tests/test_{name}.py")
            path.write_text(dedent(text))
        return self

    def pytest(
        self, *arguments: str, during: Callable[[subprocess.Popen[str]], None] | None = None, **env: str
    ) -> Ended:
        """Run it; `during` may disturb the process."""
        junit = self.folder / "junit.xml"
        junit.unlink(missing_ok=True)
        before = set((self.folder / ".seatrial").glob("*"))
        command = [sys.executable, "-m", "pytest", f"--junitxml={junit}", "--color=no", *arguments]
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            # A module that is written twice within a second is taken for what was compiled of the first.
            env=clean_environment() | {"PYTHONPATH": f"{ROOT}:{self.folder}", "PYTHONDONTWRITEBYTECODE": "1"} | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        if during:
            during(process)
        cache = self.folder / ".pytest_cache/v/cache/lastfailed"
        return ended(process, junit, self.folder / ".seatrial", before, cache, 60)

    def await_file(self, name: str) -> Path:
        """A check says where it is by touching a file in the suite's folder."""
        path = self.folder / name
        end = time.monotonic() + 30
        while not path.exists():
            if time.monotonic() > end:
                raise TimeoutError(f"{name} was not touched within 30 s")
            time.sleep(0.02)
        return path


def ended(
    process: subprocess.Popen[str],
    junit: Path,
    runs: Path,
    before: set[Path],
    lastfailed: Path,
    timeout: float,
    said: Path | None = None,
) -> Ended:
    """Wait for a run, at most `timeout` seconds, and gather what it left in its files; `said`: it writes there."""
    late = ""
    try:
        out, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, _ = process.communicate()
        late = f"\nSTILL RUNNING AFTER {timeout:g} s"
    out = (said.read_text() if said else out) + late
    new = set(runs.glob("*")) - before
    found = [json.loads(path.read_text()) for folder in new for path in folder.glob("run.json")]
    keys = json.loads(lastfailed.read_text()) if lastfailed.exists() else {}
    return Ended(
        process.returncode,
        out,
        _junit(junit),
        found[0] if found else {},
        {key.partition("::test_")[2] for key in keys},
    )


def clean_environment() -> dict[str, str]:
    """The environment without anything that is a setting, pytest's or CI's."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "USER")
    return {key: value for key, value in os.environ.items() if key in kept}


def _junit(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    found = {}
    for case in ET.parse(path).iter("testcase"):
        kinds = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        found[case.attrib["name"].removeprefix("test_")] = kinds[0] if kinds else "passed"
    return found
