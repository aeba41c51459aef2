"""A run that was killed leaves things; ``python -m seatrial sweep`` removes them, and nothing of a run that goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from dummies import ROOT, Ended, clean_environment
from sandboxes import SCALE, Sandbox, Underway, at_once, judged, sandbox
from verdicts import green

from seatrial import alive, options
from seatrial.journal import open_entries
from seatrial.record import events
from seatrial.run import new_id, run_in

WAITING = "waiting for sync endpoint: "
ALONE = "-m", "tier_a", "-k", "sync_endpoint and not async"
BACK_AT_THE_PROMPT = 30.0


@pytest.fixture(scope="module")
def slow() -> Iterator[Sandbox]:
    """Its endpoints' pods take 4 s to get ready."""
    with sandbox("--ready-after", "20") as one:
        yield one


def swept(one: Sandbox, *arguments: str, runs: Path | None = None) -> tuple[int, str]:
    """Exit code and output of a sweep; `runs`: where the records are, if they are on this machine."""
    command = [sys.executable, "-m", "seatrial", "sweep", "--timeout-factor", SCALE, *arguments]
    command += ["--set", f"gateway_memory={15 * float(SCALE):g}", "--set", f"request_timeout={30 / float(SCALE):g}"]
    command += ["--set", f"record_directory={runs or '/nowhere'}"]
    environment = clean_environment() | one.environment()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


def run_under(folder: Path) -> Path:
    """The record of the only run in there."""
    [directory] = (folder / "runs").iterdir()
    return directory


class Intended:
    """SIGTERM for the controlling process alone, in the middle of a create: as soon as the journal has the endpoint."""

    at = 0.0

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, run: Underway) -> None:
        """Use as `during`."""
        run.await_text("run ")
        while not [one for one in open_entries(events(run_under(self.folder))) if one.kind == "endpoint"]:
            assert run.process.poll() is None, run.out.read_text()
            time.sleep(0.005)
        self.at = time.monotonic()
        os.kill(run.process.pid, signal.SIGTERM)


class Killed:
    """SIGKILL in the middle of the wait; then the sweeps, while the other run goes on."""

    def __init__(self, one: Sandbox, folder: Path, other: Path) -> None:
        self.one, self.folder, self.other = one, folder, other
        self.said: dict[str, tuple[int, str]] = {}

    def __call__(self, run: Underway) -> None:
        """Use as `during`."""
        run.await_text(WAITING)
        os.kill(run.process.pid, signal.SIGKILL)
        run.process.wait(10)
        self.id, runs = run_under(self.folder).name, self.folder / "runs"
        other, theirs = run_under(self.other).name, self.other / "runs"
        self.said["another machine"] = swept(self.one, "--run", self.id, "--delete")
        self.said["the other"] = swept(self.one, "--run", other, "--delete", runs=theirs)
        self.said["expired"] = swept(self.one, "--delete", runs=runs)
        self.before = self.one.left(self.id)
        self.said["killed"] = swept(self.one, "--run", self.id, "--delete", runs=runs)
        self.after = self.one.left(self.id)
        self.said["again"] = swept(self.one, "--run", self.id, "--delete", runs=runs)


def test_one_is_killed_one_is_ended_one_goes_on(slow: Sandbox, tmp_path: Path) -> None:
    begun, killed = Intended(tmp_path / "ended"), Killed(slow, tmp_path / "killed", tmp_path / "other")
    ended: dict[str, float] = {}

    def terminated() -> Ended:
        run = judged(tmp_path / "ended", *ALONE, during=begun, **slow.environment())
        ended["at"] = time.monotonic()
        return run

    other, term, _ = at_once(
        partial(judged, tmp_path / "other", **slow.environment()),
        terminated,
        partial(judged, tmp_path / "killed", *ALONE, during=killed, **slow.environment()),
    )
    assert term.code == 2, term.out
    assert ended["at"] - begun.at < BACK_AT_THE_PROMPT
    assert "interrupted (SIGTERM): removing what run" in term.out
    assert f"sweep --run {term.run['run']} --delete" in term.out
    assert term.run["left"] == [], term.out
    assert slow.left(term.run["run"]) == []

    assert killed.before, "the killed run had made nothing"
    for refused in ("another machine", "the other"):
        code, said = killed.said[refused]
        assert (code, "it is alive; --force takes it all the same" in said) == (3, True), said
    code, said = killed.said["expired"]
    assert (code, f"it is not expired; if it is over: --run {killed.id}" in said) == (3, True), said
    code, said = killed.said["killed"]
    assert code == 0, said
    assert f"gone: endpoint seatrial-echo-sync-{killed.id}" in said
    assert killed.after == []
    assert killed.said["again"][0] == 0
    assert not list(open_entries(events(run_under(tmp_path / "killed"))))
    assert slow.up["token"] not in "".join(text for _, text in killed.said.values())

    green(other)
    assert slow.left(other.run["run"]) == []


def config_map(one: Sandbox, name: str, **metadata: dict[str, str]) -> None:
    """In the endpoints' namespace."""
    with one.kube() as kube:
        path = f"/api/v1/namespaces/{one.up['endpoint_namespace']}/configmaps"
        kube.post(path, json={"metadata": {"name": name, **metadata}}).raise_for_status()


def pod(one: Sandbox, run: str, expires: datetime) -> str:
    """A pod as one of our runs makes it, on a node that nobody serves."""
    stamp = expires.strftime("%Y-%m-%dT%H:%M:%SZ")
    labels = {"app.kubernetes.io/managed-by": "seatrial", "seatrial.dev/run": run}
    metadata = {"name": f"seatrial-probe-{run}", "labels": labels, "annotations": {"seatrial.dev/expires": stamp}}
    spec = {"nodeName": "nowhere", "terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": "i"}]}
    with one.kube() as kube:
        path = f"/api/v1/namespaces/{one.up['namespace']}/pods"
        kube.post(path, json={"metadata": metadata, "spec": spec}).raise_for_status()
    return metadata["name"]


def names(one: Sandbox, kind: str) -> set[str]:
    with one.kube() as kube:
        return {found["metadata"]["name"] for found in kube.get(f"/api/v1/{kind}").raise_for_status().json()["items"]}


def test_by_names_and_labels_alone(slow: Sandbox) -> None:
    """Expired ones, one of whom nobody can say anything, somebody else: from a machine without records."""
    now = datetime.now(UTC)
    old, fresh = new_id(now.timestamp() - 86_400), new_id()
    for name, owner in (
        ("left", f"seatrial-echo-sync-{old}"),
        ("theirs", f"echo-{old}"),
        ("new", f"seatrial-x-{fresh}"),
    ):
        config_map(slow, name, labels={"endpoint_name": owner})
    expired, unknown = pod(slow, old, now - timedelta(hours=1)), pod(slow, fresh, now + timedelta(hours=1))
    code, said = swept(slow)
    assert code == 3, said
    assert "expired\n" in said
    assert {"left", "theirs", "new"} <= names(slow, "configmaps")
    code, said = swept(slow, "--delete")
    assert (code, said.splitlines()[-1]) == (0, "nothing is left but what runs have made that may be alive"), said
    assert names(slow, "configmaps") & {"left", "theirs", "new"} == {"theirs", "new"}
    assert names(slow, "pods") & {expired, unknown} == {unknown}
    code, said = swept(slow, "--run", fresh, "--delete")
    assert (code, "nobody can say whether it is over; if it is: --force" in said) == (3, True), said
    code, said = swept(slow, "--run", fresh, "--delete", "--force")
    assert code == 0, said
    assert names(slow, "configmaps") & {"left", "theirs", "new"} == {"theirs"}
    assert unknown not in names(slow, "pods")


@pytest.mark.prove
def test_what_the_next_run_says_of_one_that_was_killed(slow: Sandbox, tmp_path: Path) -> None:
    """By its journal on this machine, until that is settled; by its Lease, where that is still there."""

    def kill(run: Underway) -> None:
        run.await_text(WAITING)
        os.kill(run.process.pid, signal.SIGKILL)

    judged(tmp_path, *ALONE, during=kill, **slow.environment())
    killed = run_under(tmp_path).name
    run = judged(tmp_path, "-m", "tier_a", "-k", "refused", **slow.environment())
    assert run.code == 0, run.out
    [line] = [line for line in run.run["head"] if line.startswith(f"run {killed} was ended by force")]
    command = line.partition(": ")[2]
    assert command.startswith(f"python -m seatrial sweep --run {killed} --delete ")
    assert f"--context {slow.up['name']}" in command
    code, said = swept(slow, "--run", killed, "--delete", runs=tmp_path / "runs")
    assert code == 0, said
    assert slow.left(killed) == []


@pytest.mark.prove
def test_keep_leaves_all_and_says_how_to_remove_it(slow: Sandbox, tmp_path: Path) -> None:
    run = judged(tmp_path, "--keep", "-k", "sync_endpoint_serves", **slow.environment())
    assert run.code == 0, run.out
    name = f"seatrial-echo-sync-{run.run['run']}"
    assert f"KEPT           endpoint {name}" in run.out
    assert f"sweep --run {run.run['run']} --delete" in run.out
    assert name in slow.listed()
    code, said = swept(slow, "--run", run.run["run"], "--delete", runs=tmp_path / "runs")
    assert code == 0, said
    assert slow.left(run.run["run"]) == []


def test_usage() -> None:
    command = [sys.executable, "-m", "seatrial", "sweep"]
    for arguments in (["--run", "no-id"], ["--context", "nowhere"], ["--unknown"]):
        done = subprocess.run([*command, *arguments], cwd=ROOT, env=clean_environment(), capture_output=True)
        assert done.returncode == 4, done.stdout + done.stderr


def test_the_command_has_the_targets_flags_and_no_secret() -> None:
    given = dict.fromkeys(flag.removeprefix("--").replace("-", "_") for flag, _ in options.SETTINGS)
    given |= {"target": "prod", "set": ["settle=3", "auth_token=hunter2"], "values": ["a b.yaml"], "no_cluster": True}
    command = options.sweep(given | {"read_only": True}, "t5k2m9x7qd", "prod-admin")
    assert command == (
        "python -m seatrial sweep --run t5k2m9x7qd --delete --target prod --values 'a b.yaml' "
        "--set settle=3 --no-cluster"
    )
    assert options.sweep(given | {"target": None}, "t5k2m9x7qd", "admin").endswith("--no-cluster --context admin")


def test_a_run_is_read_from_a_name() -> None:
    run = new_id()
    assert run_in(f"seatrial-echo-sync-{run}") == run
    assert run_in(f"pods models/seatrial-probe-redis-{run}") == run
    for other in (f"their-seatrial-x-{run}", f"seatrial-x-{run}-y", "seatrial-echo-ffffffff", "seatrial"):
        assert run_in(other) == "", other


def test_who_lives_on_this_machine(tmp_path: Path) -> None:
    run = tmp_path / new_id()
    run.mkdir()
    assert alive.goes_on(run) is None
    held = alive.hold(run)
    assert alive.goes_on(run) is True
    held.close()
    assert alive.goes_on(run) is False
    (run / "alive").write_text("another machine")
    assert alive.goes_on(run) is None
