"""A full run is ended at random moments, by TERM, INT and KILL, with and without workers, while another one goes on."""

from __future__ import annotations

import itertools
import os
import random
import re
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from dummies import Ended
from prove_results import Result, proven, results
from sandboxes import Sandbox, Underway, judged, sandbox
from test_sweep import swept

from seatrial.record import events

pytestmark = [pytest.mark.prove, pytest.mark.timeout(600)]

TIMES = 20
SIGNALS = ("TERM", "INT", "KILL")
PROMPT_LIMIT = 30.0
"""Seconds from TERM or INT until the prompt is back."""
SWEEPS = 12
"""A create whose answer was lost may be sent until it is given up: until then a sweep says so, and is repeated."""
UNKNOWN = "may still appear"
ENDS = (0, 1, 3)
"""The exit codes of runs that nobody has ended."""
WORKERS: dict[int, tuple[str, ...]] = {0: ("-n", "4"), 1: ()}
OTHERS = ("-m", "tier_a")
"""What goes on meanwhile makes and removes one of each."""


@dataclass
class Other:
    """Runs that go on all the while, one after the other: how many were green, and what the others said."""

    one: Sandbox
    folder: Path
    over: threading.Event = field(default_factory=threading.Event)
    undisturbed: int = 0
    disturbed: list[str] = field(default_factory=list)

    def go_on(self) -> None:
        for number in itertools.count():
            if self.over.is_set():
                return
            run = judged(self.folder / str(number), *OTHERS, timeout=300, **self.one.environment())
            if run.code == 0:
                self.undisturbed += 1
            else:
                told = [line for line in run.out.splitlines() if line.startswith(("FAIL  ", "ERROR", "LEFT BEHIND"))]
                self.disturbed.append(f"exit {run.code}: {'; '.join(told) or run.out}")


@dataclass(frozen=True)
class Scene:
    """A sandbox with another run on it."""

    one: Sandbox
    other: Other
    folder: Path
    whole: dict[int, float] = field(default_factory=dict)

    def seconds(self, kind: int) -> float:
        """How long a full run takes, without workers or with them; measured once."""
        if kind not in self.whole:
            began = time.monotonic()
            run = judged(self.folder / f"whole-{kind}", *WORKERS[kind], timeout=300, **self.one.environment())
            assert run.code == 0, run.out
            self.whole[kind] = time.monotonic() - began
        return self.whole[kind]

    def left(self, run: str, record: Path | None = None) -> list[str]:
        """What there is of a run, in the cluster, in the gateway's list, at the broker."""
        happened = events(record) if record and record.exists() else ()
        ids = {str(event["how"].get("id") or run) for event in happened if event.get("entry") == "intended"}
        marks = {run, *(one.replace("_", "-") for one in ids)}
        queues = [f"queue {name}" for name in self.one.queues() if any(mark in name for mark in marks)]
        return [*self.one.left(run), *self.one.ours(run), *queues]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("kills")
    with sandbox() as one:
        other = Other(one, folder / "other")
        other.folder.mkdir()
        thread = threading.Thread(target=other.go_on)
        thread.start()
        yield Scene(one, other, folder)
        other.over.set()
        thread.join()


def handles(pid: int, number: int) -> bool:
    """Whether a process has a handler of its own for a signal."""
    caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return bool(caught and int(caught[1], 16) >> (number - 1) & 1)


class Moment:
    """The signal, to the group for Ctrl-C as a terminal sends it, else to the controlling process alone."""

    def __init__(self, name: str, seconds: float) -> None:
        self.number, self.seconds, self.at = signal.Signals[f"SIG{name}"], seconds, 0.0

    def __call__(self, run: Underway) -> None:
        """Use as `during`."""
        while not handles(run.process.pid, signal.SIGTERM):  # before that there is nothing of ours yet
            assert run.process.poll() is None, run.out.read_text()
            time.sleep(0.02)
        time.sleep(self.seconds)
        self.at = time.monotonic()
        if run.process.poll() is None:
            send = os.killpg if self.number == signal.SIGINT else os.kill
            send(run.process.pid, self.number)


def places(numbers: Iterable[int]) -> list[object]:
    """Those with workers are one place, a sandbox of its own, and those without another."""
    return [pytest.param(one, marks=pytest.mark.xdist_group(f"kills{one % len(WORKERS)}")) for one in numbers]


def over(run: Ended, moment: Moment) -> bool:
    """Whether all was done before the signal came; Python's own end, in which nobody hears one, is after it."""
    return run.code in ENDS or (run.code == -moment.number and run.run.get("exit") in ENDS)


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("nth", places(range(1, TIMES + 1)))
def test_ended_at_a_random_moment(scene: Scene, tmp_path: Path, name: str, nth: int) -> None:
    with proven(f"ended/{name}/{nth}") as result:
        kind = nth % len(WORKERS)
        for attempt in itertools.count(1):  # a run that was over before the moment came proves nothing
            moment = Moment(name, random.random() * scene.seconds(kind) / attempt)
            folder = tmp_path / str(attempt)
            run = judged(folder, *WORKERS[kind], timeout=300, during=moment, **scene.one.environment())
            seconds = time.monotonic() - moment.at
            if not over(run, moment):
                break
            assert "interrupted" not in run.out, run.out
        result |= {"workers": len(WORKERS[kind]) and 4, "after": round(moment.seconds, 1)}
        records = [path.name for path in (folder / "runs").glob("*")]  # what was printed may have died in a buffer
        result["run"] = next(iter(records), "")
        if name != "KILL":
            interrupted(scene, run, folder / "runs", seconds, result)
        elif records:
            killed(scene, folder / "runs", result)
        undisturbed(scene)


def undisturbed(scene: Scene) -> None:
    """The other run has been green so far; else its report follows."""
    assert scene.other.disturbed == [], f"another run was disturbed: {scene.other.disturbed[0]}"


def interrupted(scene: Scene, run: Ended, runs: Path, seconds: float, result: Result) -> None:
    """Back at the prompt in time, and nothing is left."""
    left = scene.left(result["run"], runs / result["run"]) if result["run"] else []
    result |= {"prompt": round(seconds, 1), "unknown": sum(UNKNOWN in one["why"] for one in run.run.get("left", ()))}
    assert (run.code, left) == (2, []), f"exit {run.code}, and left: {left}\n{run.out}"
    assert seconds <= PROMPT_LIMIT
    assert "Traceback" not in run.out
    assert [one for one in run.run.get("left", ()) if UNKNOWN not in one["why"]] == [], run.out


def killed(scene: Scene, runs: Path, result: Result) -> None:
    """The command removes all of it."""
    id_ = result["run"]
    result["left"] = len(scene.left(id_, runs / id_))
    for sweeps in range(1, SWEEPS + 1):
        began = time.monotonic()
        code, said = swept(scene.one, "--run", id_, "--delete", runs=runs)
        result |= {"sweeps": sweeps, "sweep": round(time.monotonic() - began, 1)}
        if code == 0 or UNKNOWN not in said:
            break
    assert code == 0, f"the sweep ended with {code}\n{said}"
    assert scene.left(id_, runs / id_) == [], said


@pytest.mark.parametrize("kind", places(WORKERS))
def test_the_other_was_not_disturbed(scene: Scene, kind: int) -> None:
    """And nothing that was unknown at the end of a run has appeared since."""
    with proven(f"other/{kind}") as result:
        while not scene.other.undisturbed and not scene.other.disturbed:
            time.sleep(1)
        result["runs"] = scene.other.undisturbed
        undisturbed(scene)
        proven_here = [one for key, one in results().items() if key.startswith("ended/") and one.get("run")]
        for one in proven_here:
            assert scene.left(str(one["run"])) == []
