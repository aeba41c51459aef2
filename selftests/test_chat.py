"""Chat completions, whole and streamed, from servers that say what a test wants, byte by byte."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from recordings import load
from scripted import CLOSE, RESET, Scripted, Spoken, answer
from test_tasks import answered, recorded

from seatrial.arrival import Piece
from seatrial.http import Http, Streamed
from seatrial.model_engine.completion import Asked, CameAtOnce, Flow, completion, counts, flow
from seatrial.record import Record, events
from seatrial.run import Run
from seatrial.verdict import Unhealthy

NAME = "smoke-test-llama-3-1-8b"
ASKED = Asked(NAME, frozenset({NAME}))
STREAM = "text/event-stream; charset=utf-8"
HEAD = f"HTTP/1.1 200 OK\r\nContent-Type: {STREAM}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
END = b"0\r\n\r\n"
APART = 0.02


def chunk(content: str = "", **more: Any) -> dict[str, Any]:
    """A chunk as the released gateway sends it."""
    choice = {"delta": {"content": content}, "index": 0} | {k: more.pop(k) for k in ("finish_reason",) if k in more}
    return {"id": "chatcmpl-1", "choices": [choice], "model": NAME, "object": "chat.completion.chunk"} | more


def event(data: Any, end: str = "\r\n\r\n") -> bytes:
    """One server-sent event."""
    return f"data: {data if isinstance(data, str) else json.dumps(data)}{end}".encode()


WORDS = ("one ", "two ", "three ", "four ", "five")
LAST = chunk(finish_reason="stop")
WHOLE = [chunk(), *map(chunk, WORDS), LAST]
"""What the released gateway streams, without an end of its own."""


def framed(data: bytes) -> bytes:
    """As one chunk of the transfer encoding."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def apart(*pieces: bytes) -> Iterator[bytes]:
    """Each at its own time."""
    for piece in pieces:
        yield piece
        time.sleep(APART)


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Callable[..., Streamed]]:
    """The whole stream that a server says, or why it is none."""
    record = Record(Run("t5k2m9x7qd", tmp_path / "run"))

    def call(say: Callable[[Spoken], Iterable[bytes]] | bytes, timeout: float = 5) -> Streamed:
        with (
            Scripted(say) as server,
            Http(server.url, record=record, token=None, timeout=timeout, source="test", seen_from="here") as http,
        ):
            streamed = http.stream("POST", "/v2/chat/completions", json={"stream": True})
            assert server.asked[0].header("accept") == "text/event-stream, application/json"
        return streamed

    yield call
    record.close()


@pytest.mark.parametrize(
    ("events_", "done", "content"),
    [
        ([event(one) for one in WHOLE], False, "one two three four five"),
        ([*(event(one) for one in WHOLE), event("[DONE]")], True, "one two three four five"),
        ([event(one, end="\n\n") for one in WHOLE], False, "one two three four five"),
        ([event(one, end="\r\r") for one in WHOLE], False, "one two three four five"),
        ([b": ping - now\r\n\r\n" + event(one) for one in WHOLE], False, "one two three four five"),
        (
            [event(chunk("a\u2028b ")), event(chunk("\u2026")), event(LAST)],  # no end of a line to anybody but Unicode
            False,
            "a\u2028b \u2026",
        ),
        (
            [event(one) for one in [*WHOLE, chunk(usage={"completion_tokens": 9}) | {"choices": []}]],
            False,
            "one two three four five",
        ),
        ([event(chunk("1, 2, 3")), event(chunk(", 4, 5.", finish_reason="length"))], False, "1, 2, 3, 4, 5."),
    ],
    ids=["released", "done", "lf", "cr", "comments", "line-separator", "usage", "text-in-the-last"],
)
def test_streams_that_prove_a_model(ask, events_: list[bytes], done: bool, content: str) -> None:
    found = flow(ask(lambda spoken: apart(HEAD, *map(framed, events_), END)), ASKED)
    assert (found.content, found.done) == (content, done)
    assert found.reads >= 2
    assert found.first < found.last
    assert found.tokens in (found.chunks, 9)
    shape = r"time to first token \d+\.\d\d s, then \d+\.\d tokens/s \(\d tokens\); ended with(out)? \[DONE\]"
    assert re.fullmatch(shape, str(found))


def test_events_that_are_cut_anywhere_are_the_same(ask) -> None:
    whole = b"".join(event(one) for one in WHOLE)
    for size in (1, 7, 64):
        cut = [whole[n : n + size] for n in range(0, len(whole), size)]
        pieces = [Piece(one, n / 1000, n) for n, one in enumerate(cut)]
        assert (
            flow(Streamed(answered(whole.decode(), kind=STREAM), tuple(pieces)), ASKED).content
            == "one two three four five"
        )


@pytest.mark.parametrize(
    ("page", "words", "good"),
    [
        (4096, "word ", False),
        (8192, "word ", False),
        (10**6, "word ", False),
        (1000, "word ", True),
        (1, "word ", True),
        (1, "long " * 800, True),
    ],
    ids=["page", "two-pages", "whole", "read-late", "token-by-token", "large-chunks"],
)
def test_a_long_answer_that_lay_in_a_buffer(page: int, words: str, good: bool) -> None:
    """A proxy's buffer is let go of when it is full: each of its pages is a read."""
    whole = [event(chunk(words)) for _ in range(50)] + [event(LAST)]
    pieces, held = [], 0
    for one in whole:
        pieces.append(Piece(one, held / 1000, held // page))
        held += len(one)
    streamed = Streamed(answered(b"".join(whole).decode(), kind=STREAM), tuple(pieces))
    if good:
        assert flow(streamed, ASKED).reads > len(whole) / 10
    else:
        with pytest.raises(CameAtOnce, match="does not stream: its answer came in 50 chunks"):
            flow(streamed, ASKED)


def of(*chunks: Any) -> Callable[[Spoken], Iterator[bytes]]:
    """A server that streams these one after the other."""
    return lambda spoken: apart(HEAD, *(framed(event(one)) for one in chunks), END)


ERROR = {"status_code": 500, "content": {"error": "Upstream service error for request_id 1", "timestamp": "now"}}


@pytest.mark.parametrize(
    ("say", "key", "line"),
    [
        (
            lambda spoken: [HEAD + b"".join(framed(event(one)) for one in WHOLE) + END],
            f"llm.not-streamed/{NAME}",
            f"{NAME} does not stream: its answer came in 5 chunks at once, after ",
        ),
        (
            of(chunk(), chunk("all of it", finish_reason="stop")),
            f"llm.not-streamed/{NAME}",
            f"{NAME} does not stream: its answer came in one chunk, after ",
        ),
        (of(*WHOLE[:4]), f"llm.stream-stops/{NAME}", f"{NAME} stops in the middle of a stream"),
        (
            lambda spoken: apart(HEAD, *(framed(event(one)) for one in WHOLE[:4]), CLOSE),
            "gateway/breaks-off",
            "breaks off in the middle of its answer",
        ),
        (
            lambda spoken: apart(HEAD, *(framed(event(one)) for one in WHOLE[:4]), RESET),
            "gateway/breaks-off",
            "breaks off in the middle of its answer",
        ),
        (
            of(*WHOLE[:3], {"request_id": "1", "error": ERROR}),
            f"llm.stream-error/{NAME}",
            f"{NAME} ends a stream with an error: Upstream service error for request_id 1",
        ),
        (of(chunk(), LAST), f"llm.empty/{NAME}", f"{NAME} streams an answer without any content"),
        (
            of(*(one | {"model": "another"} for one in WHOLE)),
            f"llm.another-model/{NAME}",
            f"{NAME} was asked, and the answer names the model 'another'",
        ),
    ],
    ids=["at-once", "one-chunk", "stops", "closed", "reset", "error", "empty", "another-model"],
)
def test_streams_that_prove_nothing_and_why(ask, say, key: str, line: str) -> None:
    with pytest.raises(Unhealthy) as caught:
        flow(ask(say), ASKED)
    assert caught.value.cause.key == key
    assert line in caught.value.cause.line
    assert caught.value.cause.evidence


@pytest.mark.parametrize(
    ("say", "said"),
    [
        (of(chunk("one "), "no json"), "streams an event that is no JSON: no json"),
        (of(chunk("one "), []), "streams an event that is no object"),
        (of(*WHOLE[:4], chunk(finish_reason="stop"), chunk("four")), "streams text after finish_reason stop: 'four'"),
        (of(*WHOLE, "[DONE]", chunk("six")), "goes on after [DONE]"),
        (of(chunk("one "), chunk("two", id="chatcmpl-2"), LAST), "mixes the chunks of 2 answers"),
        (
            of(*(chunk(f"{one} ") for one in ("one", "three", "two", "five", "four")), LAST),
            "streams its text out of order",
        ),
        (answer(200, '{"choices": []}'), "answers no event stream, content-type application/json"),
    ],
    ids=["no-json", "no-object", "after-the-end", "after-done", "mixed", "out-of-order", "no-stream"],
)
def test_streams_that_are_malformed(ask, say, said: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(said)):
        flow(ask(say), ASKED)


def test_a_stream_without_an_end_ends_with_its_time(ask) -> None:
    def endless(spoken: Spoken) -> Iterator[bytes]:
        yield HEAD
        while not spoken.over.wait(0.02):
            yield framed(event(chunk("on ")))

    with pytest.raises(Unhealthy) as caught:
        ask(endless, timeout=0.4)
    assert caught.value.cause.key == "gateway/drips"
    assert "bytes had come in" in caught.value.cause.evidence[-1]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("Here is from one to five: one, two, three, four, five.", True),
        ("1 2 3 4 5", True),
        ("One, two, 3, four and five", True),
        ("two one three four five", False),
        ("Hello there.", None),
        ("1, 2, 3, 4", None),
    ],
)
def test_counting(content: str, found: bool | None) -> None:
    assert counts(content) is found


def test_the_recorded_stream_is_read(ask) -> None:
    """Of the product's gateway before a stand-in for vLLM: what it says is there, when it came nobody recorded."""
    body = load("chat_stream")["response"]["body"]
    pieces = [one.encode() for one in body.split("\r\n\r\n") if one]
    say = [framed(one + b"\r\n\r\n") for one in pieces]
    found = flow(ask(lambda spoken: apart(HEAD, *say, END)), ASKED)
    assert isinstance(found, Flow)
    assert (found.content, found.chunks, found.done) == ("one two three", 3, False)


def test_the_recorded_completion_is_read() -> None:
    found = completion(recorded("chat_sync"), ASKED)
    assert (found.content, found.finish_reason, found.prompt_tokens, found.tokens) == ("Hello there.", "stop", 5, 3)
    assert str(found) == "answered with 3 tokens to a prompt of 5, finish_reason stop"


def with_content(**more: Any) -> dict[str, Any]:
    """A completion."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello."}}
    return {"id": "chatcmpl-1", "model": NAME, "choices": [choice]} | more


def test_who_does_not_count_tokens_is_read_too() -> None:
    assert str(completion(answered(with_content()), ASKED)) == "answered with tokens not counted, finish_reason stop"


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (recorded("chat_sync_empty_content"), f"{NAME} answers without any content"),
        (recorded("chat_sync_upstream500"), 'answered 500, not 200: {"detail": "Upstream service error'),
        (recorded("chat_unknown_model"), "answered 404, not 200"),
        (answered(with_content(model="llama")), f"{NAME} was asked, and the answer names the model 'llama'"),
        (answered(with_content(model=None)), "names the model None"),
        (answered(with_content(choices=[])), "a completion without choices"),
        (answered(with_content(usage={"prompt_tokens": 4, "completion_tokens": 0})), "counts no tokens"),
        (
            answered(with_content(choices=[{"message": {"content": "Hello."}, "finish_reason": None}])),
            "a completion without finish_reason",
        ),
        (answered([]), "answers no object"),
        (
            answered(
                {"detail": {"message": "As of transformers v4.44, default chat template is no longer allowed"}}, 400
            ),
            f"{NAME}: its model has no chat template, so it cannot chat: it is a base model",
        ),
    ],
    ids=["empty", "500", "404", "model", "no-model", "choices", "tokens", "cut", "list", "template"],
)
def test_answers_that_prove_nothing(found: Any, line: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(line)):
        completion(found, ASKED)


def test_every_stream_is_one_event_of_the_record(ask, tmp_path: Path) -> None:
    ask(of(*WHOLE))
    (one,) = [event for event in events(tmp_path / "run") if event["kind"] == "http"]
    assert (one["method"], one["path"], one["status"]) == ("POST", "/v2/chat/completions", 200)
