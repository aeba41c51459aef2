"""Sandboxes for self-tests of the suite, and runs of the suite against them, all from outside, as a user has them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dummies import ROOT, Ended, clean_environment, ended

SCALE = "0.2"


@dataclass(frozen=True)
class Sandbox:
    """`up`: what ``up --json`` printed."""

    up: dict[str, Any]

    def environment(self) -> dict[str, str]:
        """What a user exports: the two things nobody can discover."""
        return {"KUBECONFIG": self.up["kubeconfig"], "AUTH_TOKEN": self.up["token"]}

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
    def broken(self, fault: str) -> Iterator[None]:
        """With `fault` in force."""
        _sandbox("break", fault, self.up["name"])
        try:
            yield
        finally:
            _sandbox("heal", fault, self.up["name"])

    def signs(self) -> list[dict[str, Any]]:
        """What became public of trouble so far."""
        path = Path(self.up["directory"]) / "signs.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@contextmanager
def sandbox(*words: str, scale: str = SCALE) -> Iterator[Sandbox]:
    """A sandbox that ends with this process at the latest."""
    name = f"selftest-{uuid.uuid4().hex[:8]}"
    out = _sandbox("up", *words, "--json", "--name", name, "--time-scale", scale, "--parent", str(os.getpid()))
    try:
        yield Sandbox(json.loads(out))
    finally:
        _sandbox("down", name)


def judged(folder: Path, *arguments: str, scale: str = SCALE, timeout: float = 100, **environment: str) -> Ended:
    """The suite's own run from the repository's root, its record and cache in `folder`."""
    junit = folder / "junit.xml"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--color=no",
        f"--junitxml={junit}",
        "-o",
        f"cache_dir={folder / 'cache'}",
    ]
    command += ["--set", f"record_directory={folder / 'runs'}", "--timeout-factor", scale, *arguments]
    before = set((folder / "runs").glob("*"))
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=clean_environment() | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    return ended(process, junit, folder / "runs", before, folder / "cache/v/cache/lastfailed", timeout)


def _sandbox(*words: str) -> str:
    command = [sys.executable, "-m", "sandbox", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout
