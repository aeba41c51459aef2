"""Sandboxes for self-tests of the suite, and runs of the suite against them, all from outside, as a user has them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from dummies import ROOT, Ended, clean_environment, ended

from sandbox import handle
from sandbox.__main__ import all_faults

SCALE = "0.2"
RECOVERY = 60.0
"""Seconds; who has not recovered by then shows in the next run."""


@dataclass(frozen=True)
class Sandbox:
    """`up`: what ``up --json`` printed."""

    up: dict[str, Any]

    def environment(self) -> dict[str, str]:
        """What a user exports: the things nobody can discover."""
        return {
            "KUBECONFIG": self.up["kubeconfig"],
            "AUTH_TOKEN": self.up["token"],
            "CHECKPOINT_PATH": self.up["checkpoint_path"],
        }

    def without_cluster(self) -> dict[str, str]:
        """What a user exports for ``--no-cluster``."""
        repository, _, tag = self.up["image"].rpartition(":")
        return {
            "GATEWAY_URL": self.up["gateway_url"],
            "AUTH_TOKEN": self.up["token"],
            "MODEL_ENGINE_IMAGE_REPOSITORY": repository,
            "MODEL_ENGINE_IMAGE_TAG": tag,
        }

    @contextmanager
    def broken(self, *faults: str) -> Iterator[None]:
        """With `faults` in force, without the seconds that the command line's own start-up takes for each."""
        known, one, done = all_faults(), handle.load(self.up["name"]), []
        try:
            for fault in faults:
                done.append(fault)
                asyncio.run(known[fault].break_(one))
            yield
        finally:
            for fault in reversed(done):
                asyncio.run(known[fault].heal(one))
            if done:
                self._recover()

    def _recover(self) -> None:
        """Wait for those who crashed of a fault that is healed: their back-off may last longer than it."""
        end = time.monotonic() + RECOVERY
        with self.kube() as kube:
            while time.monotonic() < end:
                pods = kube.get(f"/api/v1/namespaces/{self.up['namespace']}/pods").raise_for_status().json()["items"]
                statuses = [one for pod in pods for one in pod["status"].get("containerStatuses", ())]
                if not any(one["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff" for one in statuses):
                    return
                time.sleep(0.1)

    def sweep(self, folder: Path, run: Ended, *more: str) -> None:
        """Remove what a run with its files in `folder` has left."""
        command = [sys.executable, "-m", "seatrial", "sweep", "--run", run.run["run"], "--delete", *more]
        command += ["--set", f"record_directory={folder / 'runs'}", "--timeout-factor", SCALE]
        env = clean_environment() | {name: self.environment()[name] for name in ("KUBECONFIG", "AUTH_TOKEN")}
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=100)
        if done.returncode:
            raise RuntimeError(f"sweep ended with {done.returncode}\n{done.stdout}{done.stderr}")

    def kube(self) -> httpx.Client:
        """The Kubernetes API, as its administrator."""
        headers = {"Authorization": f"Bearer {self.up['kube_token']}"}
        return httpx.Client(base_url=self.up["kube_url"], headers=headers, verify=False, timeout=20)

    def left(self, run: str) -> list[str]:
        """What stands for endpoints of the run with this id, in the cluster and in the gateway's list."""
        kinds = ("api/v1 services configmaps pods", "apis/apps/v1 deployments")
        kinds += ("apis/autoscaling/v2 horizontalpodautoscalers", "apis/policy/v1 poddisruptionbudgets")
        found = []
        with self.kube() as kube:
            for group, *resources in map(str.split, kinds):
                for resource in resources:
                    path = f"/{group}/namespaces/{self.up['endpoint_namespace']}/{resource}"
                    for one in kube.get(path).raise_for_status().json()["items"]:
                        meta = one["metadata"]
                        if run in json.dumps(meta) and "deletionTimestamp" not in meta:
                            found.append(f"{resource}/{meta['name']}")
        return found + [one for one in self.listed() if run in one]

    def queues(self) -> list[str]:
        """The names of all queues at the broker, where it is SQS."""
        import boto3

        told = json.loads(Path(self.up["directory"], "sandbox.json").read_text())
        credentials = {"aws_access_key_id": "selftest", "aws_secret_access_key": "selftest"}
        client = boto3.client("sqs", endpoint_url=told["sqs_url"], region_name="us-west-2", **credentials)
        return [url.rpartition("/")[2] for url in client.list_queues().get("QueueUrls", ())]

    def ours(self, run: str) -> list[str]:
        """Objects with our labels of the run with this id that are not on their way out."""
        found = []
        with self.kube() as kube:
            for path in ("api/v1/pods", "api/v1/secrets", "apis/coordination.k8s.io/v1/leases"):
                params = {"labelSelector": f"seatrial.dev/run={run}"}
                for one in kube.get(f"/{path}", params=params).raise_for_status().json()["items"]:
                    if "deletionTimestamp" not in one["metadata"]:
                        found.append(f"{path.rpartition('/')[2]}/{one['metadata']['name']}")
        return found

    def listed(self) -> list[str]:
        """The names in the gateway's list, in an order that no run asks for without a name: not from its memory."""
        headers = {"Authorization": f"Bearer {self.up['token']}"}
        url = f"{self.up['gateway_url']}/v1/model-endpoints?order_by=oldest"
        answer = httpx.get(url, headers=headers, timeout=20)
        return [one["name"] for one in answer.raise_for_status().json()["model_endpoints"]]

    def signs(self) -> list[dict[str, Any]]:
        """What became public of trouble so far."""
        path = Path(self.up["directory"]) / "signs.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@contextmanager
def sandbox(*words: str, scale: str = SCALE, **environment: str) -> Iterator[Sandbox]:
    """A sandbox that ends with this process at the latest; `words` as after ``up``, options among them."""
    name = f"selftest-{uuid.uuid4().hex[:8]}"
    options = ("--json", "--name", name, "--time-scale", scale, "--parent", str(os.getpid()))
    out = _sandbox("up", *words, *options, **environment)
    try:
        yield Sandbox(json.loads(out))
    finally:
        _sandbox("down", name)


@dataclass(frozen=True)
class Underway:
    """A run of the suite that goes on, and the file it writes to."""

    process: subprocess.Popen[str]
    out: Path

    def await_text(self, text: str, seconds: float = 100) -> None:
        """Return once the run has said `text`."""
        end = time.monotonic() + seconds
        while text not in self.out.read_text():
            if self.process.poll() is not None or time.monotonic() > end:
                raise TimeoutError(f"the run did not say {text!r}: {self.out.read_text()}")
            time.sleep(0.02)


def suite(folder: Path, *arguments: str, scale: str = SCALE) -> list[str]:
    """The command line of the suite's own run, its JUnit file, record and cache in `folder`."""
    command = [sys.executable, "-m", "pytest", "--color=no", f"--junitxml={folder / 'junit.xml'}"]
    command += ["-o", f"cache_dir={folder / 'cache'}", "--set", f"record_directory={folder / 'runs'}"]
    memory = f"gateway_memory={15 * float(scale):g}"  # the stand-in's memory is as short as its other times
    patience = f"request_timeout={30 / float(scale):g}"  # a machine that is busy answers late, at any scale
    return [*command, "--timeout-factor", scale, "--set", memory, "--set", patience, *arguments]


def judged(
    folder: Path,
    *arguments: str,
    scale: str = SCALE,
    timeout: float = 100,
    during: Callable[[Underway], None] = lambda run: None,
    **environment: str,
) -> Ended:
    """The suite's own run from the repository's root, its files in `folder`; `during` may disturb it."""
    folder.mkdir(exist_ok=True)
    before = set((folder / "runs").glob("*"))
    said = folder / "out.txt"
    with said.open("w") as out:
        process = subprocess.Popen(
            suite(folder, *arguments, scale=scale),
            cwd=ROOT,
            env=clean_environment() | environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    during(Underway(process, said))
    lastfailed = folder / "cache/v/cache/lastfailed"
    return ended(process, folder / "junit.xml", folder / "runs", before, lastfailed, timeout, said)


def at_once(*runs: Callable[[], Ended]) -> list[Ended]:
    """How they ended, all begun at the same time: a run mostly waits."""
    with ThreadPoolExecutor(len(runs)) as pool:
        return [one.result() for one in [pool.submit(run) for run in runs]]


def _sandbox(*words: str, **environment: str) -> str:
    command = [sys.executable, "-m", "sandbox", *words]
    env = os.environ | environment
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=100)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout
