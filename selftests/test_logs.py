"""Logs are read by level, logger and message; what is no JSON line is kept apart."""

from __future__ import annotations

import json

import pytest
from recordings import DATA, load

from seatrial import logs


def text(name: str) -> str:
    """A recorded log as a pod shows it."""
    return "".join(json.dumps(one) + "\n" for one in load(name))


@pytest.mark.parametrize("name", [path.stem for path in sorted(DATA.glob("logs_*.json"))])
def test_recorded_lines_come_back(name: str) -> None:
    found = list(logs.lines(text(name)))
    assert [(one.level, one.name, one.message) for one in found] == [
        (one["level"], one["name"], one["message"]) for one in load(name)
    ]
    assert list(logs.raw(text(name))) == []


MIXED = """
 -------------- celery@host v5.6.0
{"message": "Loop took 0.6 seconds", "time": "2026-11-21T08:00:00", "level": "INFO", "name": "k8s_cache"}
{"half": "a line", "mess
{"message": 7}
["message"]
Traceback (most recent call last):
{"message": "Uncaught exception", "level": "ERROR", "name": "k8s_cache", "exc_info": "Trace\\nValueError: no\\n"}
"""


def test_what_is_no_json_line_is_kept_apart() -> None:
    found = list(logs.lines(MIXED))
    assert [one.message for one in found] == ["Loop took 0.6 seconds", "Uncaught exception"]
    assert list(logs.raw(MIXED)) == [
        " -------------- celery@host v5.6.0",
        '{"half": "a line", "mess',
        '{"message": 7}',
        '["message"]',
        "Traceback (most recent call last):",
    ]


def test_an_exception_is_told_by_its_last_line() -> None:
    first, second = logs.lines(MIXED)
    assert (first.exception, second.exception) == ("", "ValueError: no")
    assert str(second) == "ERROR k8s_cache: Uncaught exception (ValueError: no)"


def test_the_newest_line_of_a_logger() -> None:
    found = list(logs.lines(text("logs_healthy_cacher")))
    newest = logs.last(found, "Loop took", name="k8s_cache")
    assert newest is not None
    assert newest.message.startswith("Loop took 1.347")
    assert logs.last(found, "Loop took", name="other") is None
    assert logs.last(found, "Error") is None
