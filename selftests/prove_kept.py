"""Whatever is marked `prove` is kept, and skipped where it held already; the proof's own modules do so themselves."""

from __future__ import annotations

import time
from collections.abc import Generator

import pytest
from prove_results import commit, keep, skip_if_held, why

PREFIX = "run/"


def key(module: str, name: str) -> str:
    """How a self-test is called among the results; empty: it is kept by itself, with its figures."""
    return "" if module.startswith("test_prove_") else f"{PREFIX}{module}/{name}"


def _key(item: pytest.Item) -> str:
    return key(item.path.stem, item.name) if item.get_closest_marker("prove") else ""


def pytest_runtest_setup(item: pytest.Item) -> None:
    if _key(item):
        skip_if_held(_key(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if _key(item) and (report.failed or (report.passed and call.when == "call")):
        result = {"key": _key(item), "commit": commit(), "held": report.passed}
        if call.excinfo:
            result["why"] = why(str(call.excinfo.value)) or call.excinfo.typename
        keep(result, time.monotonic() - call.duration)
    return report
