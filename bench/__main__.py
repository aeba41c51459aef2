"""``python -m bench [SECONDS ...]``: the runbook's commands in a shell beside the suite, at once, on one sandbox.

SECONDS: how long an endpoint's pod takes to get ready, a measurement for each (default: 5 60 240). Prints a table and
writes it to docs/bench.md. Everything runs with the stand-ins' own times; nothing of it is shortened.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/bench.md"
START_UPS = (5.0, 60.0, 240.0)
WANTED_OF_SHELL, WANTED_OF_START_UP = 0.25, 1.10

HEAD = f"""\
# The suite beside a shell

Written by `python -m bench`; not by hand. Phases 3 and 4 of the smoke tests (R0), once as a shell script with the
runbook's own commands and pauses (`bench/runbook.sh`), once as `pytest -m "control_plane or tier_a"`, both at once on
one sandbox (`documented`, unscaled times). *Start-up* is what the slowest of the suite's endpoints took from its create
request to its ready pod, *listed* until the gateway called it READY, which it learns from the cacher, once in 15 s.
Wanted: at most {WANTED_OF_SHELL} of the shell's time, and at most {WANTED_OF_START_UP} of the start-up.

The shell creates one endpoint after the other and proves less: no nonce, no failing task, and it looks at nothing after
the deletes.

"""
TAIL = f"""\

## What bounds it
The suite waits once, for the slowest endpoint: it requests both at once, watches the cacher and the queue meanwhile,
has both deleted at once, and looks at nothing twice. What it takes beside the start-up is the product's: up to 15 s
until the cacher has told the gateway of a ready pod; and its own: Python and the opening before the first create,
tasks, deletes, and the end, some ten seconds on an idle machine and more on a busy one.

- **suite / shell** comes to no less than 0.5 at long start-ups: the shell makes two endpoints one after the other,
  and side by side they take half of that. Only the shell's pauses of 30 s and 10 s make it less at shorter ones;
  {WANTED_OF_SHELL} would take four endpoints in the script instead of two.
- **suite / start-up** falls as the start-up grows, since what is added stays the same: with A seconds added it is at
  most {WANTED_OF_START_UP} from start-ups of ten times A on. R0 has endpoints on CPUs take three to eight minutes.
"""
COLUMNS = (
    "pod ready after, s",
    *("shell, s", "suite, s", "suite / shell"),
    *("start-up, s", "suite / start-up", "listed, s", "suite / listed"),
    *("requests of shell", "of suite", "suite / shell"),
)


class NotMeasuredError(Exception):
    """One of the two did not end well; the text is what it said last."""


def row(cells: Iterable[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


@dataclass(frozen=True)
class Measured:
    """One line of the table; times in seconds."""

    ready_after: float
    shell: float
    suite: float
    start_up: float
    listed: float
    shell_requests: int
    suite_requests: int

    def row(self) -> str:
        """As Markdown."""
        cells = (
            f"{self.ready_after:g}",
            f"{self.shell:.1f}",
            f"{self.suite:.1f}",
            f"{self.suite / self.shell:.2f}",
            f"{self.start_up:.1f}",
            f"{self.suite / self.start_up:.2f}",
            f"{self.listed:.1f}",
            f"{self.suite / self.listed:.2f}",
            f"{self.shell_requests}",
            f"{self.suite_requests}",
            f"{self.suite_requests / self.shell_requests:.1f}",
        )
        return row(cells)


class StartUps(threading.Thread):
    """Sees when the pods of the suite's endpoints get ready, by ``endpoint_name``; in seconds since 1970."""

    def __init__(self, up: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self.ready: dict[str, float] = {}
        self._over = threading.Event()
        headers = {"Authorization": f"Bearer {up['kube_token']}"}
        self._kube = httpx.Client(base_url=up["kube_url"], headers=headers, verify=False, timeout=20)
        self._pods = f"/api/v1/namespaces/{up['endpoint_namespace']}/pods"

    def run(self) -> None:
        """Until `stop`."""
        while not self._over.wait(0.2):
            for pod in self._kube.get(self._pods).raise_for_status().json()["items"]:
                name = pod["metadata"].get("labels", {}).get("endpoint_name", "")
                conditions = pod.get("status", {}).get("conditions", [])
                if any(one["type"] == "Ready" and one["status"] == "True" for one in conditions):
                    self.ready.setdefault(name, time.time())

    def stop(self) -> None:
        """Look no longer."""
        self._over.set()
        self.join()
        self._kube.close()


@contextlib.contextmanager
def sandbox(ready_after: float) -> Iterator[dict[str, Any]]:
    """What ``up --json`` printed."""
    words = ("documented", "--json", "--ready-after", f"{ready_after:g}", "--parent", str(os.getpid()))
    up = json.loads(_ran([sys.executable, "-m", "sandbox", "up", *words]))
    try:
        yield up
    finally:
        _ran([sys.executable, "-m", "sandbox", "down", up["name"]])


def measure(ready_after: float) -> Measured:
    """Both at once. NotMeasuredError if one of them fails."""
    with sandbox(ready_after) as up, tempfile.TemporaryDirectory(prefix="seatrial-bench-") as folder:
        repository, _, tag = up["image"].rpartition(":")
        requests, records = Path(folder, "requests"), Path(folder, "records")
        shell_environment = {
            "GATEWAY_URL": up["gateway_url"],
            "AUTH_TOKEN": up["token"],
            "IMAGE_REPOSITORY": repository,
            "IMAGE_TAG": tag,
            "REQUESTS": str(requests),
        }
        suite = [sys.executable, "-m", "pytest", "-m", "control_plane or tier_a", "-p", "no:cacheprovider"]
        suite += ["--set", f"record_directory={records}"]
        start_ups = StartUps(up)
        start_ups.start()
        try:
            shell_time, suite_time = _at_once(
                lambda: _timed(["bash", "bench/runbook.sh"], **shell_environment),
                lambda: _timed(suite, KUBECONFIG=up["kubeconfig"], AUTH_TOKEN=up["token"]),
            )
        finally:
            start_ups.stop()
        events = [json.loads(line) for path in records.glob("*/events.*.jsonl") for line in path.open()]
        calls = [event for event in events if event["kind"] == "http"]
        begun = min(
            call["time"] - call["ms"] / 1000
            for call in calls
            if (call["method"], call["path"]) == ("POST", "/v1/model-endpoints")
        )
        last = max(ready for name, ready in start_ups.ready.items() if name.startswith("seatrial-"))
        built = [one for one in events if one["kind"] == "journal" and (one.get("how") or {}).get("built")]
        listed = max(
            min(one["time"] for one in built if one["name"] == name) for name in {one["name"] for one in built}
        )
        sent = len(requests.read_text().splitlines())
        return Measured(ready_after, shell_time, suite_time, last - begun, listed - begun, sent, len(calls))


def _timed(command: list[str], **environment: str) -> float:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    began = time.monotonic()
    _ran(command, kept | environment)
    return time.monotonic() - began


def _ran(command: list[str], environment: dict[str, str] | None = None) -> str:
    """Its standard output. NotMeasuredError with its last lines if it fails."""
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
        raise NotMeasuredError(f"{command[:4]} ended with {done.returncode}:\n{last}")
    return done.stdout


def _at_once(*works: Callable[[], float]) -> list[float]:
    """What they return; all are waited for before the first error is raised."""
    with ThreadPoolExecutor(len(works)) as pool:
        return [one.result() for one in [pool.submit(work) for work in works]]


def main(arguments: list[str]) -> int:
    """The exit code."""
    rows = [row(COLUMNS), row(["---"] * len(COLUMNS))]
    try:
        for ready_after in map(float, arguments or START_UPS):
            rows.append(measure(ready_after).row())
            print(rows[-1], flush=True)
    except NotMeasuredError as error:
        print(error, file=sys.stderr)
        return 1
    commit = _ran(["git", "describe", "--always", "--dirty"]).strip()
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    busy = f"load {', '.join(f'{one:.0f}' for one in os.getloadavg())} at the end"
    measured = f"\n\n{when} UTC, commit `{commit}`, {machine}, {busy}.\n"
    PAGE.write_text(HEAD + "\n".join(rows) + measured + TAIL, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
