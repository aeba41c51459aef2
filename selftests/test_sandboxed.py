"""``pytest --sandbox``: which sandbox it starts, that it says so, and that nothing of it is left."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import leavings
import pytest
from dummies import Ended
from sandboxes import Underway, judged

GONE = 5.0
"""Seconds after the end of pytest, at the most."""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder for temporary files that a server running as another user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="seatrial-selftest-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


class Watched:
    """A run whose sandbox is looked at while it is up, and disturbed by `signals` to pytest."""

    def __init__(self, place: Path, *signals: int) -> None:
        self.place, self.signals = place, signals
        self.before = leavings.shared_memory()
        self.processes: set[int] = set()
        self.numbers: set[str] = set()

    def __call__(self, run: Underway) -> None:
        """Use as `during`."""
        run.await_text("THE TARGET IS A SANDBOX")
        if self.signals:
            run.await_text("waiting for sync endpoint: ")
        self.processes = leavings.descendants()
        self.numbers = leavings.claimed(self.processes)
        assert list(self.place.glob("seatrial-sandbox-*/*"))
        for number in self.signals:
            os.kill(run.process.pid, number)

    def left(self) -> list[str]:
        """What there still is when its time is over."""
        assert len(self.processes) > 5
        assert self.numbers
        return leavings.until_nothing(GONE, self.place, self.numbers, self.before)[1]


def sandboxed(folder: Path, watched: Watched, *arguments: str) -> Ended:
    """A run that starts its own."""
    with leavings.adopting():
        run = judged(folder, *arguments, "--time-scale", "0.2", during=watched, TMPDIR=str(watched.place))
        assert watched.left() == []
    return run


@pytest.mark.parametrize(
    "arguments",
    [
        ("--sandbox", "tests/test_control_plane.py"),
        pytest.param(("--sandbox=documented", "-m", "control_plane"), marks=pytest.mark.prove),
    ],
    ids=["a-path-is-a-path", "words"],
)
def test_a_run_ends_its_sandbox(place: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    watched = Watched(place)
    run = sandboxed(tmp_path, watched, *arguments)
    assert run.code == 0, run.out
    assert set(run.verdicts.values()) == {"pass"}
    assert len(run.verdicts) == 3
    assert run.out.count("THE TARGET IS A SANDBOX") == 2
    assert ("release model-engine/model-engine-gateway" in run.out) == ("--sandbox=documented" in arguments)


@pytest.mark.parametrize(
    ("number", "arguments", "code"),
    [
        pytest.param(signal.SIGKILL, (), -signal.SIGKILL, id="killed", marks=pytest.mark.prove),
        pytest.param(signal.SIGINT, ("--no-cluster",), 2, id="ctrl-c-over-http", marks=pytest.mark.prove),
    ],
)
def test_a_run_that_is_ended_takes_its_sandbox_along(
    place: Path, tmp_path: Path, number: int, arguments: tuple[str, ...], code: int
) -> None:
    watched = Watched(place, number)
    run = sandboxed(tmp_path, watched, "--sandbox", "released", "--ready-after", "60", *arguments)
    assert run.code == code, run.out
