"""Ctrl-C and SIGTERM at every point of a run's life, once and twice: exit 2, soon, and what was made is removed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from dummies import Ended, Suite

PLUGIN = """
import threading

def wait(name, seconds):
    open(name, "w").close()
    threading.Event().wait(seconds)

def pytest_seatrial_cleaners():
    def clean(trial, entry):
        if entry.how.get("long"):
            wait("cleaning", entry.how["long"])
        open("cleaned", "w").close()
    return {"thing": clean}
"""
MAKES = "    trial.journal.intend('thing', 'x', long=%s)\n"
N2 = ("-n", "2")
LONG = pytest.mark.prove
WORKERS = pytest.mark.parametrize("workers", [pytest.param((), marks=LONG, id="alone"), pytest.param(N2, id="n2")])


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return Suite(tmp_path)


class Ending:
    """Signals to a run: each once the file is there that its name stands beside."""

    def __init__(self, suite: Suite, *signals: tuple[str, int], group: bool = False) -> None:
        self.suite, self.signals, self.group, self.at = suite, signals, group, 0.0

    def __call__(self, process: subprocess.Popen[str]) -> None:
        """Use as `during`."""
        send: Callable[[int, int], None] = os.killpg if self.group else os.kill
        for name, number in self.signals:
            self.suite.await_file(name)
            time.sleep(0.5)  # a person's second Ctrl-C; less than that counts as one
            self.at = time.monotonic()
            send(process.pid, number)

    def ended(self, *arguments: str) -> tuple[Ended, float]:
        """How it ended, and how many seconds after the last signal."""
        run = self.suite.pytest(*arguments, during=self)
        assert "Traceback" not in run.out, run.out
        assert "STILL RUNNING" not in run.out, run.out
        return run, time.monotonic() - self.at


def checks(suite: Suite, body: str, plugin: str = PLUGIN) -> Suite:
    waits = "import ending_plugin\n"
    return suite.write(plugins=("ending_plugin",), ending_plugin=plugin, tier_a=waits + body)


@pytest.mark.parametrize(
    ("number", "workers"),
    [
        pytest.param(signal.SIGINT, N2, id="ctrl-c-n2"),
        pytest.param(signal.SIGTERM, (), id="sigterm-alone"),
        pytest.param(signal.SIGINT, (), id="ctrl-c-alone", marks=LONG),
        pytest.param(signal.SIGTERM, N2, id="sigterm-n2", marks=LONG),
    ],
)
def test_the_second_leaves_at_once(suite: Suite, workers: tuple[str, ...], number: int) -> None:
    checks(suite, "def test_it(trial):\n" + MAKES % 40 + "    ending_plugin.wait('here', 40)\n")
    twice = Ending(suite, ("here", number), ("cleaning", number), group=bool(workers))
    run, seconds = twice.ended(*workers)
    assert run.code == 2, run.out
    assert seconds < 5
    name = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
    assert f"interrupted ({name}): removing what run" in run.out
    assert (
        f"interrupted ({name}): left at once; what the run made is removed by:\n  python -m seatrial sweep" in run.out
    )
    assert not (suite.folder / "cleaned").exists()


@WORKERS
def test_sigterm_for_the_controller_alone(suite: Suite, workers: tuple[str, ...]) -> None:
    checks(suite, "def test_it(trial):\n" + MAKES % 0 + "    ending_plugin.wait('here', 40)\n")
    run, seconds = Ending(suite, ("here", signal.SIGTERM)).ended(*workers)
    assert (run.code, run.verdicts) == (2, {"tier_a/it": "error (interrupted)"}), run.out
    assert seconds < 10
    assert (suite.folder / "cleaned").exists()
    assert f"nothing of run {run.run['run']} is left" in run.out


@WORKERS
def test_while_a_run_that_ended_well_is_cleaned_up(suite: Suite, workers: tuple[str, ...]) -> None:
    """The clean-up goes on; the run is an interrupted one."""
    checks(suite, "def test_it(trial):\n" + MAKES % 2)
    run, _ = Ending(suite, ("cleaning", signal.SIGTERM)).ended(*workers)
    assert (run.code, run.verdicts, run.run["left"]) == (2, {"tier_a/it": "pass"}, []), run.out
    assert (suite.folder / "cleaned").exists()
    assert f"nothing of run {run.run['run']} is left" in run.out


def test_while_the_end_is_printed(suite: Suite) -> None:
    """The run was over: it ends as its record says."""
    plugin = PLUGIN + "def pytest_terminal_summary():\n    wait('printing', 2)\n"
    checks(suite, "def test_it(trial):\n" + MAKES % 0, plugin)
    run, _ = Ending(suite, ("printing", signal.SIGTERM)).ended()
    assert (run.code, run.run["exit"]) == (0, 0), run.out
    assert "1 passed" in run.out
    assert "interrupted" not in run.out


@WORKERS
def test_before_the_first_check(suite: Suite, workers: tuple[str, ...]) -> None:
    """While the run is opened; what was made by then is removed."""
    opening = "def pytest_seatrial_target(trial):\n    trial.journal.intend('thing', 'x')\n    wait('opening', 40)\n"
    checks(suite, "def test_it(trial):\n    pass\n", PLUGIN + opening)
    run, seconds = Ending(suite, ("opening", signal.SIGTERM)).ended(*workers)
    assert run.code == 2, run.out
    assert seconds < 10
    assert (suite.folder / "cleaned").exists()


def test_an_interrupt_that_python_drops_is_raised_again(suite: Suite) -> None:
    """It met a finalizer, where exceptions are printed and forgotten."""
    body = "class Late:\n    def __del__(self):\n        ending_plugin.wait('here', 2)\n"
    body += "def test_it(trial):\n    Late()\n    ending_plugin.wait('later', 40)\n"
    checks(suite, body)
    run = suite.pytest("-p", "no:unraisableexception", during=Ending(suite, ("here", signal.SIGTERM)))
    assert run.code == 2, run.out
    assert "STILL RUNNING" not in run.out


def test_an_interrupt_waits_for_the_answer_to_a_create(suite: Suite) -> None:
    """But not for long."""
    body = "def test_it(trial):\n    with trial.whole():\n        ending_plugin.wait('here', {})\n"
    body += "        open('answered', 'w').close()\n    ending_plugin.wait('later', 40)\n"
    for seconds, answered in ((1, True), (40, False)):
        checks(suite, body.format(seconds))
        run, _ = Ending(suite, ("here", signal.SIGTERM)).ended()
        assert run.code == 2, run.out
        assert (suite.folder / "answered").exists() is answered
        assert not (suite.folder / "later").exists()
        for name in ("here", "answered"):
            (suite.folder / name).unlink(missing_ok=True)


def test_a_worker_does_not_outlive_its_controller(suite: Suite) -> None:
    """What it would go on to make, nobody would remove."""
    body = "import os, time\ndef test_it(trial):\n    open('pid', 'w').write(str(os.getpid()))\n"
    checks(suite, body + "    ending_plugin.wait('here', 40)\n")
    suite.pytest("-n", "2", during=Ending(suite, ("here", signal.SIGKILL)))
    pid = int((suite.folder / "pid").read_text())
    end = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]:
        assert time.monotonic() < end, "the worker lives"
        time.sleep(0.05)
