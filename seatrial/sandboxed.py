"""``pytest --sandbox``: starts a sandbox of this run's own, as a user would, and takes its answers as the target."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from seatrial.options import dest


def _down(config: pytest.Config, name: str) -> None:
    """The run returns when nothing of its sandbox is there any more."""
    subprocess.run([sys.executable, "-m", "sandbox", "down", name], cwd=config.rootpath, capture_output=True)


def start(config: pytest.Config) -> dict[str, Any]:
    """Settings that stand above all others, under the key ``sandbox``; nothing without ``--sandbox``.

    The sandbox ends when this process does, however it ends. One that does not start ends the run with exit 3.
    """
    words = config.getoption(dest("--sandbox"))
    if words is None:
        return {}
    command = [sys.executable, "-m", "sandbox", "up", *filter(None, words.split(",")), "--json"]
    command += ["--parent", str(os.getpid())]
    for flag in ("--ready-after", "--time-scale"):
        if (value := config.getoption(dest(flag))) is not None:
            command += [flag, str(value)]
    done = subprocess.run(command, cwd=config.rootpath, capture_output=True, text=True)
    if done.returncode:
        why = (done.stderr.strip() or done.stdout.strip() or f"exit {done.returncode}").splitlines()[-1]
        if done.returncode == pytest.ExitCode.USAGE_ERROR:
            raise pytest.UsageError(f"--sandbox={words}: {why}")
        pytest.exit(f"the sandbox did not start: {why}", returncode=3)
    up = json.loads(done.stdout)
    config.add_cleanup(lambda: _down(config, up["name"]))
    found = {
        "kubeconfig": up["kubeconfig"],
        "context": up["name"],
        "namespace": up["namespace"],
        "auth_token": up["token"],
    }
    if not any(one.startswith("checkpoint_path=") for one in config.getoption(dest("--set")) or ()):
        found["checkpoint_path"] = up["checkpoint_path"]
    if config.getoption(dest("--no-cluster")):
        repository, _, tag = up["image"].rpartition(":")
        found = {"gateway_url": up["gateway_url"], "auth_token": up["token"]}
        found |= {"model_engine_image_repository": repository, "model_engine_image_tag": tag}
    if (scale := config.getoption(dest("--time-scale"))) is not None:
        found |= {"timeout_factor": str(scale), "gateway_memory": str(15 * scale)}
    return {"sandbox": found}
