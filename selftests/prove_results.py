"""What the long proof has found so far: lines of JSON, kept from one `make prove` to the next."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
from dummies import ROOT

FOLDER = ROOT / ".seatrial/proof"
"""One file for each worker that ever wrote one."""
PROVEN = ("seatrial", "fixtures", "payloads", "tests", "sandbox", "conftest.py", "pytest.ini", "constraints.txt")
"""What the proof is about: a commit that touches none of it leaves every result standing."""
AGAIN = "PROVE_AGAIN"
"""The environment variable that has everything proven anew."""
SINCE = "PROVE_SINCE"
"""The environment variable with a commit: results from it on stand, though the proof is resumed on a later one."""

Result = dict[str, Any]


@cache
def commit() -> str:
    """The last commit that touched what is proven; where it was changed since, ``+`` and a digest of the changes."""
    last, changes = _last("HEAD"), _git("diff", "HEAD", "--", *PROVEN)
    for name in _git("ls-files", "--others", "--exclude-standard", "--", *PROVEN).splitlines():
        changes += name + (ROOT / name).read_text()
    return f"{last}+{hashlib.sha256(changes.encode()).hexdigest()[:6]}" if changes else last


@cache
def standing() -> frozenset[str]:
    """The commits whose results stand."""
    since = os.environ.get(SINCE)
    if not since:
        return frozenset({commit()})
    later = _git("log", "--abbrev=7", "--format=%h", f"{since}..HEAD", "--", *PROVEN).split()
    return frozenset({commit(), _last(since), *later})


def lines() -> list[Result]:
    """Every result that stands, in the order of time: those that were repeated, too."""
    found = [json.loads(line) for path in FOLDER.glob("*.jsonl") for line in path.read_text().splitlines()]
    return sorted((one for one in found if one["commit"] in standing()), key=lambda one: one["time"])


def results() -> dict[str, Result]:
    """By key, the newest result of each thing."""
    return {one["key"]: one for one in lines()}


def skip_if_held(key: str) -> None:
    """Skip what holds already, unless the environment says ``PROVE_AGAIN=1``."""
    found = results().get(key, {})
    if found.get("held") and os.environ.get(AGAIN) != "1":
        pytest.skip(f"holds at {found['commit']} already; {AGAIN}=1 repeats it")


def why(error: str) -> str:
    """The one line of an error that says what did not hold; empty if none does.

    Ours, if it begins with one; else the comparison that pytest shows, or where it cut that, its first difference.
    """
    said = [line.strip() for line in error.splitlines()]
    at = next((number for number, line in enumerate(said) if line.startswith(_COMPARED)), len(said))
    first = said[0] if at and not said[0].startswith(_OF_A_RUN) else ""
    differ = [line for line in said[at + 1 :] if line and not line.startswith(_NO_DIFFERENCE)]
    detail = " ".join(differ[: 2 if differ and differ[0].endswith(":") else 1])
    return next((line for one in (first, *said[at : at + 1], detail) if (line := readable(one))), "")


def readable(line: str) -> str:
    """A line of an error without what pytest puts around it; empty if it is what was left of a long value."""
    line = line.removeprefix(_COMPARED).partition(f": {_OF_A_RUN}")[0]
    return "" if _OF_A_RUN in line or re.search(r"[\[{(].*\.\.\.", line) else line


_COMPARED, _OF_A_RUN, _NO_DIFFERENCE = "assert ", "====", ("Omitting ", "Use -v", "Full diff", "...")


def keep(result: Result, began: float) -> None:
    """Write a result down, with what the machine had to do besides; `began` by the monotonic clock."""
    taken = round(time.monotonic() - began, 1)
    result |= {"time": time.time(), "taken": taken, "load": round(os.getloadavg()[0], 1)}
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / f"{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}.jsonl").open("a") as file:
        file.write(json.dumps(result) + "\n")


@contextmanager
def proven(key: str) -> Iterator[Result]:
    """Note how the body ended, with the figures that it puts into the result. Skips what holds already."""
    skip_if_held(key)
    result: Result = {"key": key, "commit": commit(), "held": False}
    began = time.monotonic()
    try:
        yield result
        result["held"] = True
    except BaseException as error:
        result["why"] = why(str(error)) or type(error).__name__
        raise
    finally:
        keep(result, began)


def _last(of: str) -> str:
    return _git("log", "-1", "--abbrev=7", "--format=%h", of, "--", *PROVEN)


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
