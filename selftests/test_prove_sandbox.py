"""How fast a sandbox is up, and what is left of one whose pytest is killed at whatever moment."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import leavings
import pytest
from dummies import ROOT, clean_environment
from prove_results import proven
from sandboxes import sandbox

pytestmark = pytest.mark.prove

UPS, UP_LIMIT = 7, 5.0
KILLS, GONE_LIMIT = 10, 5.0
"""Seconds: until a sandbox answers, and until nothing of a killed one is left."""


@pytest.mark.parametrize("nth", range(1, UPS + 1))
def test_up(nth: int) -> None:
    with proven(f"up/{nth}") as result:
        began = time.monotonic()
        with sandbox("released", scale="1"):
            result["seconds"] = round(time.monotonic() - began, 2)
        assert result["seconds"] <= UP_LIMIT


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder for temporary files that a server running as another user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="seatrial-proof-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("nth", range(1, KILLS + 1))
def test_killed_pytest_leaves_nothing(place: Path, tmp_path: Path, nth: int) -> None:
    """The nth at some moment of the nth second of the run."""
    with proven(f"kill/{nth}") as result, leavings.adopting():
        before = leavings.shared_memory()
        words = ["--sandbox", "--time-scale", "0.2", "--ready-after", "10", "--set", f"record_directory={tmp_path}"]
        run = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words],
            cwd=ROOT,
            env=clean_environment() | {"TMPDIR": str(place)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )
        result["after"] = round(nth - random.random(), 2)
        time.sleep(result["after"])
        assert run.poll() is None, "the run was over before it was killed"
        running = leavings.descendants()
        numbers = leavings.claimed(running)
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        taken, left = leavings.until_nothing(GONE_LIMIT, place, numbers, before)
        result |= {"processes": len(running), "sockets": len(numbers), "seconds": round(taken, 1)}
        result["files_of_pytest"] = sum(path.is_file() for path in place.iterdir())  # not the sandbox's, but told
        assert left == [], left
