"""A record that cannot be written any more: nothing is made then, nothing is proven, and what was made is removed."""

from __future__ import annotations

from pathlib import Path

import pytest
from dummies import Suite

PLUGIN = """
import os, resource, signal

def fill(trial):
    '''As on a disk that is full: no file may get any longer than the record is.'''
    trial.record.event("filler", text="x" * 300_000)
    size = os.path.getsize(trial.record.path) + 100
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

def pytest_seatrial_cleaners():
    return {"thing": lambda trial, entry: open(f"cleaned-{entry.name}", "w").close()}
"""
CHECKS = """
import full_plugin

def test_before(trial):
    trial.journal.intend("thing", "one")

def test_full(trial):
    full_plugin.fill(trial)
    trial.note("there is room for its beginning, and not for its end" * 9)

def test_makes(trial):
    trial.journal.intend("thing", "two")
    open("made", "w").close()
"""


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return Suite(tmp_path)


@pytest.mark.parametrize("workers", [(), pytest.param(("-n", "2"), marks=pytest.mark.prove)], ids=["alone", "n2"])
def test_a_disk_that_gets_full(suite: Suite, workers: tuple[str, ...]) -> None:
    run = suite.write(plugins=("full_plugin",), full_plugin=PLUGIN, tier_a=CHECKS).pytest(*workers)
    assert run.code == 3, run.out
    verdicts = {"tier_a/before": "pass", "tier_a/full": "error (tool)", "tier_a/makes": "error (tool)"}
    assert run.verdicts == verdicts
    assert run.out.count("because   the record cannot be written: ") == 1
    assert "Traceback" not in run.out
    assert not (suite.folder / "made").exists()
    assert (suite.folder / "cleaned-one").exists()


def test_a_result_that_cannot_be_written(suite: Suite) -> None:
    leads_nowhere = "def test_it(trial):\n    (trial.run.directory / 'run.json').symlink_to('/nowhere/run.json')\n"
    run = suite.write(tier_a=leads_nowhere).pytest()
    assert run.code == 3, run.out
    assert "NOT WHOLE      the record cannot be written: No such file or directory" in run.out
    assert "Traceback" not in run.out
