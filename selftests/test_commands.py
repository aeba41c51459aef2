"""Every command of ``python -m seatrial``: Ctrl-C is answered at any time, and a reader may go away."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from dummies import ROOT, clean_environment

IMPORTS = "nothing was begun"
RUNS = "nothing was made or removed"
DELETES = "what is not said to be gone may be left: type it again"
FIRST = """
import os, signal, sys
class Finder:
    def find_spec(self, name, *_):
        if name == "seatrial.commands":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
"""


def seatrial(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """A command that has begun."""
    env = clean_environment() | {"PYTHONPATH": os.pathsep.join((str(folder), str(ROOT)))} | environment
    command = [sys.executable, "-m", "seatrial", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=env, stdout=pipe, stderr=pipe, text=True)


@pytest.mark.parametrize(
    ("arguments", "said"), [(("doctor",), RUNS), (("sweep", "--delete"), DELETES)], ids=["doctor", "sweep"]
)
def test_ctrl_c_while_nobody_answers(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        gateway = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        run = seatrial(tmp_path, *arguments, "--no-cluster", GATEWAY_URL=gateway, AUTH_TOKEN="a-token-of-a-test")
        deaf.settimeout(30)
        asked, _ = deaf.accept()
        with asked:
            run.send_signal(signal.SIGINT)
        _, err = run.communicate(timeout=60)
    assert (run.returncode, err.strip()) == (2, f"interrupted (Ctrl-C): {said}")


def test_ctrl_c_during_the_imports(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(FIRST)
    run = seatrial(tmp_path, "doctor")
    _, err = run.communicate(timeout=60)
    assert (run.returncode, err.strip()) == (2, f"interrupted (Ctrl-C): {IMPORTS}")


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    with seatrial(tmp_path, "--help") as run:
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.close()
        assert (run.stderr.read(), run.wait(60)) == ("", 0)
