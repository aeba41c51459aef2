"""What the long proof has found so far: a line of JSON for each thing, kept from one `make prove` to the next."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
from dummies import ROOT

FILE = ROOT / ".seatrial/proof/results.jsonl"
PROVEN = ("seatrial", "fixtures", "payloads", "tests", "sandbox", "conftest.py", "pytest.ini", "constraints.txt")
"""What the proof is about: a commit that touches none of it leaves every result standing."""
AGAIN = "PROVE_AGAIN"
"""The environment variable that has everything proven anew."""

Result = dict[str, Any]


@cache
def commit() -> str:
    """The last commit that touched what is proven; where it was changed since, ``+`` and a digest of the changes."""
    last, changes = _git("log", "-1", "--format=%h", "--", *PROVEN), _git("diff", "HEAD", "--", *PROVEN)
    for name in _git("ls-files", "--others", "--exclude-standard", "--", *PROVEN).splitlines():
        changes += name + (ROOT / name).read_text()
    return f"{last}+{hashlib.sha256(changes.encode()).hexdigest()[:6]}" if changes else last


def lines() -> list[Result]:
    """Every result at this commit, in the order of time: those that were repeated, too."""
    found = [json.loads(line) for line in FILE.read_text().splitlines()] if FILE.exists() else []
    return [one for one in found if one["commit"] == commit()]


def results() -> dict[str, Result]:
    """By key, the newest result of each thing at this commit."""
    return {one["key"]: one for one in lines()}


@contextmanager
def proven(key: str) -> Iterator[Result]:
    """Note how the body ended, with the figures that it puts into the result, and what the machine had to do besides.

    Skips what holds at this commit already, unless the environment says ``PROVE_AGAIN=1``.
    """
    if results().get(key, {}).get("held") and os.environ.get(AGAIN) != "1":
        pytest.skip(f"holds at {commit()} already; {AGAIN}=1 repeats it")
    result: Result = {"key": key, "commit": commit(), "held": False}
    began = time.monotonic()
    try:
        yield result
        result["held"] = True
    except BaseException as error:
        said = [line.strip() for line in str(error).splitlines()]
        told = [line for line in said if line.startswith("assert ")] or [line for line in said if line]
        result["why"] = (told or [type(error).__name__])[0]
        raise
    finally:
        taken = round(time.monotonic() - began, 1)
        result |= {"time": time.time(), "taken": taken, "load": round(os.getloadavg()[0], 1)}
        FILE.parent.mkdir(parents=True, exist_ok=True)
        with FILE.open("a") as file:
            file.write(json.dumps(result) + "\n")


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
