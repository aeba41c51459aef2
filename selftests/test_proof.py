"""The page of the long proof: what it says of what did not hold."""

from __future__ import annotations

from typing import Any

import pytest
from prove_results import why
from prove_table import repeated

RUN = "============== test session starts ==============\nFAIL      tier_a/x  0 s\n  cause     the fault\n"
VERDICTS = {f"check_{number}": "not applicable" for number in range(20)}


def compare(found: Any, expected: Any, message: str) -> None:
    """As a self-test does, in pytest's own words."""
    if message:
        assert found == expected, message
    assert found == expected


@pytest.mark.parametrize(
    ("found", "expected", "message", "said"),
    [
        (21.9, 5.0, "", "21.9 == 5.0"),
        (1, 2, f"late by 3 s\n{RUN}", "late by 3 s"),
        (1, 2, RUN, "1 == 2"),
        (VERDICTS | {"x": "fail"}, VERDICTS | {"x": "pass"}, RUN, "Differing items: {'x': 'fail'} != {'x': 'pass'}"),
        (VERDICTS | {"x": "fail"}, VERDICTS, RUN, "Left contains 1 more item: {'x': 'fail'}"),
        ([RUN * 9], [], "", ""),
    ],
)
def test_what_did_not_hold_in_one_line(found: Any, expected: Any, message: str, said: str) -> None:
    with pytest.raises(AssertionError) as caught:
        compare(found, expected, message)
    assert why(str(caught.value)) == said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (f"the run did not say 'waiting': {RUN}", "the run did not say 'waiting'"),
        ("still not so after 60 s", "still not so after 60 s"),
        (RUN, ""),
        ("", ""),
    ],
)
def test_of_an_error_that_compares_nothing(error: str, said: str) -> None:
    assert why(error) == said


def test_what_was_repeated_is_told_once() -> None:
    def result(key: str, held: bool, why: str = "") -> dict[str, Any]:
        return {"key": key, "held": held, "why": why, "time": 0.0, "load": 1.0, "commit": "1234567"}

    twice = [result("up/1", False, "assert 21.9 <= 5.0"), result("up/1", False, "assert ['====...===='] == []")]
    lines = [*twice, result("up/1", True), result("up/2", True)]
    told = repeated(lines, {one["key"]: one for one in lines})
    assert told[6:] == ["| up/1 | 2 | 21.9 <= 5.0 | 01-01 00:00 on 1234567 | 1.0 | yes |", ""]
