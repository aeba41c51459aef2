"""What a task came to: the real product's recorded answers, read as both contracts have them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from recordings import load

from seatrial.http import Answer
from seatrial.http_errors import Product
from seatrial.model_engine.tasks import echoed, streamed, task
from seatrial.sse import Event, events

STREAM = "text/event-stream; charset=utf-8"


def answered(body: Any, status: int = 200, kind: str = "application/json") -> Answer:
    """An answer of the gateway."""
    text = body if isinstance(body, str) else json.dumps(body)
    is_json = "json" in kind
    product = Product("gateway", "http://gateway", "test", "here")
    data = json.loads(text) if is_json else None
    return Answer(product, "GET /x", status, {"content-type": kind}, text, is_json, data, text.encode())


def recorded(name: str) -> Answer:
    """The answer of a recording."""
    response = load(name)["response"]
    return answered(response["body"], response["status"], response["headers"]["content-type"])


@pytest.mark.parametrize(
    ("name", "over", "succeeded", "code", "result"),
    [
        ("async_task_pending", False, False, None, None),
        ("async_get_unknown_task", False, False, None, None),
        ("async_task_final", True, True, 200, {"y": 1}),
        ("async_status500_final", True, False, 500, {"y": 1, "status_code": 500}),
        ("async_noargs_final", True, False, None, "argument of type 'NoneType' is not iterable"),
    ],
)
def test_async_tasks_as_recorded(name: str, over: bool, succeeded: bool, code: int | None, result: Any) -> None:
    found = task(recorded(name))
    assert (found.over, found.succeeded, found.code, found.result) == (over, succeeded, code, result)


def test_success_with_500_is_told_as_a_failure() -> None:
    with pytest.raises(AssertionError, match="the task's status is SUCCESS with status_code 500: "):
        task(recorded("async_status500_final")).echo()


def test_the_documented_contract_wraps_nothing() -> None:
    assert echoed(answered({"status": "SUCCESS", "result": {"hello": "world"}})) == {"hello": "world"}


@pytest.mark.parametrize("body", [[], {"detail": "Not Found"}, {"task_id": "t"}])
def test_what_is_no_task(body: Any) -> None:
    with pytest.raises(AssertionError, match="answers no task"):
        task(answered(body))


def test_a_stream_as_recorded() -> None:
    assert streamed(recorded("streaming_task")) == [{"hello": "world"}]


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        ({"status": "SUCCESS", "result": {}}, "application/json", "answers no event stream"),
        (": ping\r\n\r\n", STREAM, "a stream without an event"),
        ("data: hello\r\n\r\n", STREAM, "an event that is no JSON: hello"),
        ('data: {"status": "FAILURE", "status_code": 500}\r\n\r\n', STREAM, "FAILURE with status_code 500"),
        ('data: {"error": {"status_code": 500}}\r\n\r\n', STREAM, "answers no task"),
    ],
)
def test_a_stream_that_proves_nothing(body: Any, kind: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        streamed(answered(body, kind=kind))


PIECES = (
    b"\xef\xbb\xbfdata: one\r\ndata: t\xc3\xa4\xe2\x80\xa8wo\r\n\r\n: ping\n\nevent: end\rdata:x\r\r\ndata: cut off"
)
FOUND = [Event("one\ntä\u2028wo"), Event("x", "end")]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_events_wherever_the_pieces_are_cut(size: int) -> None:
    """U+2028 ends no line, though `str.splitlines` thinks so."""
    assert list(events(PIECES[at : at + size] for at in range(0, len(PIECES), size))) == FOUND
