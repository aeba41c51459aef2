"""What a chat completion proves, whole or streamed: judged by what came, without a clock or a client."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seatrial.arrival import Piece
from seatrial.http import Answer, Streamed
from seatrial.model_engine.client import Object
from seatrial.model_engine.health.vllm import NO_TEMPLATE
from seatrial.record import events as recorded
from seatrial.sse import events
from seatrial.verdict import Cause, Unhealthy

DONE = "[DONE]"
"""The event that ends an OpenAI stream; the released gateway swallows it."""
COUNTED = (("one", "1"), ("two", "2"), ("three", "3"), ("four", "4"), ("five", "5"))
"""What the streamed answer should hold one after the other."""
HELD = 2048
"""Bytes that reads bring on average where text has lain in a buffer: proxies' hold 4096 and more, and let go of a part
only at the end. Tokens that come as they are made bring some 160 to 220 each; a machine that reads late reads a few
at a time."""


class CameAtOnce(Unhealthy):
    """A stream is whole, and came in one read, or in reads as large as buffers are."""


@dataclass(frozen=True)
class Asked:
    """The endpoint `name` that a completion was asked of, and all the `models` that its answer may name."""

    name: str
    models: frozenset[str]

    def unhealthy(self, what: str, line: str, said: str, do: str) -> Unhealthy:
        """The cause ``llm.<what>/<endpoint>``; `line` stands behind the endpoint's name, `said` quotes the answer."""
        return Unhealthy(Cause(f"llm.{what}/{self.name}", f"{self.name} {line}", (said,), settle=0.0, do=do))

    def must_name(self, body: Object, said: str) -> None:
        """`Unhealthy` unless the answer is told to be of the model that was asked for."""
        model = body.get("model")
        if model not in self.models:
            raise self.unhealthy(
                "another-model",
                f"was asked, and the answer names the model {model!r}",
                said,
                "see where the gateway sends its completions: somebody else has answered",
            )


@dataclass(frozen=True)
class Completion:
    """A whole answer: its text, why it ended, how many tokens prompt and answer had (0 where nobody says)."""

    id: str
    content: str
    finish_reason: str
    prompt_tokens: int
    tokens: int

    def __str__(self) -> str:
        counted = f"{self.tokens} tokens to a prompt of {self.prompt_tokens}" if self.tokens else "tokens not counted"
        return f"answered with {counted}, finish_reason {self.finish_reason}"


@dataclass(frozen=True)
class Flow:
    """A streamed answer: its text in the order in which it came; `chunks` with text, in so many `reads`.

    `first` and `last`: seconds after the request when the first and the last text came. `done`: whether it ended with
    ``[DONE]``.
    """

    content: str
    chunks: int
    reads: int
    first: float
    last: float
    tokens: int
    done: bool

    def __str__(self) -> str:
        took = self.last - self.first
        rate = f"{(self.tokens - 1) / took:.1f} tokens/s" if took > 0 else "all tokens at once"
        ended = f"ended with {DONE}" if self.done else f"ended without {DONE}"
        return f"time to first token {self.first:.2f} s, then {rate} ({self.tokens} tokens); {ended}"


def completion(answer: Answer, asked: Asked) -> Completion:
    """What a whole answer holds. AssertionError unless it is a completion, with text, of the model that was asked."""
    _let_in(answer, asked)
    body = answer.json()
    assert isinstance(body, dict), f"{answer.asked} answers no object: {answer.said}"
    choice = next(iter(body.get("choices") or ()), None)
    assert isinstance(choice, dict), f"{answer.asked} answers a completion without choices: {answer.said}"
    asked.must_name(body, answer.evidence)
    content = (choice.get("message") or {}).get("content") or ""
    if not str(content).strip():
        raise asked.unhealthy(
            "empty", "answers without any content", answer.evidence, "see its worker's log, and what its model is"
        )
    reason, usage = choice.get("finish_reason"), body.get("usage") or {}
    assert reason, f"{answer.asked} answers a completion without finish_reason: {answer.said}"
    counted = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    assert not usage or min(counted) > 0, f"{answer.asked} answers text, and counts no tokens: {usage}"
    return Completion(str(body.get("id") or ""), str(content), str(reason), *counted)


def flow(streamed: Streamed, asked: Asked) -> Flow:
    """What a streamed answer holds. AssertionError unless it is whole, in order, and was streamed."""
    answer = streamed.answer
    _let_in(answer, asked)
    kind = answer.headers.get("content-type", "none")
    assert kind.startswith("text/event-stream"), f"{answer.asked} answers no event stream, content-type {kind}"
    said, ended, done = _Said(), "", False
    usage: Object = {}
    ids: set[Any] = set()
    for data, piece in _arrived(streamed.pieces):
        assert not done, f"{answer.asked} goes on after {DONE}: {data[:200]}"
        if data.strip() == DONE:
            done = True
            continue
        chunk = _chunk(data, answer, asked)
        ids.add(chunk.get("id"))
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices") or ():
            text = (choice.get("delta") or {}).get("content") or ""
            assert not (ended and text), f"{answer.asked} streams text after finish_reason {ended}: {text!r}"
            said.add(text, piece)
            ended = choice.get("finish_reason") or ended
    assert len(ids) <= 1, f"{answer.asked} mixes the chunks of {len(ids)} answers: {', '.join(map(str, ids))}"
    said.must_be_whole(answer, asked, ended)
    tokens = int(usage.get("completion_tokens") or 0) or len(said.pieces)
    first, last = said.pieces[0].seconds, said.pieces[-1].seconds
    return Flow("".join(said.texts), len(said.pieces), said.reads, first, last, tokens, done)


def requested(record: Path) -> set[str]:
    """The paths of all completions that the run with this record asked for."""
    paths = {str(one["path"]) for one in recorded(record) if one["kind"] == "http" and one["method"] == "POST"}
    return {one for one in paths if "completions" in one}


def counts(content: str) -> bool | None:
    """Whether a text counts from one to five, in that order; None where it does not hold all of these numbers."""
    words = re.findall(r"[a-z]+|\d+", content.lower())
    if not all(any(word in names for word in words) for names in COUNTED):
        return None
    rest = iter(words)
    return all(any(word in names for word in rest) for names in COUNTED)


class _Said:
    """The texts of a stream, and the pieces that they came in."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.pieces: list[Piece] = []

    def add(self, text: str, piece: Piece) -> None:
        if text:
            self.texts.append(text)
            self.pieces.append(piece)

    @property
    def reads(self) -> int:
        return len({one.read for one in self.pieces})

    @property
    def size(self) -> int:
        """Of all that the texts came in, in bytes."""
        return sum(len(data) for data in {id(one): one.data for one in self.pieces}.values())

    @property
    def held_back(self) -> bool:
        """Whether it has lain in a buffer: chunks that are large themselves have not."""
        return self.reads < 2 or (self.size >= HELD * self.reads and len(self.pieces) >= 2 * self.reads)

    def must_be_whole(self, answer: Answer, asked: Asked, ended: str) -> None:
        """AssertionError for a stream that stops, is empty, came at once, or is not in order."""
        content = "".join(self.texts)
        shown = f"{answer.asked}: {len(self.pieces)} chunks with text: {content[-200:]!r}"
        if not ended:
            do = "see its worker's log, and the proxies in between: the end of an answer has a finish_reason"
            raise asked.unhealthy("stream-stops", "stops in the middle of a stream", shown, do)
        if not content.strip():
            do = "see its worker's log, and what its model is"
            raise asked.unhealthy("empty", "streams an answer without any content", shown, do)
        if self.held_back:
            at = f"after {self.pieces[-1].seconds:.2f} s"
            came = "in one chunk" if len(self.pieces) == 1 else f"in {len(self.pieces)} chunks at once"
            if self.reads > 1:
                came = f"in {len(self.pieces)} chunks, {self.reads} reads of {self.size // self.reads} bytes"
            do = "find what holds event streams back, between gateway and worker or before the gateway: a proxy, a mesh"
            raise CameAtOnce(
                asked.unhealthy("not-streamed", f"does not stream: its answer came {came}, {at}", shown, do).cause
            )
        assert counts(content) is not False, f"{answer.asked} streams its text out of order: {content!r}"


def _arrived(pieces: Iterable[Piece]) -> Iterator[tuple[str, Piece]]:
    """Each event's data, with the piece that completed it."""
    newest: list[Piece] = []

    def fed() -> Iterator[bytes]:
        for piece in pieces:
            newest[:] = [piece]
            yield piece.data

    for event in events(fed()):
        yield event.data, newest[0]


def _chunk(data: str, answer: Answer, asked: Asked) -> Object:
    try:
        chunk = json.loads(data)
    except json.JSONDecodeError:
        raise AssertionError(f"{answer.asked} streams an event that is no JSON: {data[:300]}") from None
    assert isinstance(chunk, dict), f"{answer.asked} streams an event that is no object: {data[:300]}"
    if chunk.get("error"):
        do = "the gateway's and the worker's logs say why: HTTP 200 was sent before it happened"
        raise asked.unhealthy("stream-error", f"ends a stream with an error: {_shown(chunk['error'])}", data[:300], do)
    asked.must_name(chunk, f"{answer.asked}: {data[:200]}")
    return chunk


def _shown(error: Any) -> str:
    """An error as the gateway nests it, or as vLLM writes it."""
    content = error.get("content") if isinstance(error, dict) else None
    inner = content.get("error") if isinstance(content, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return str(inner or message or error)[:200]


def _let_in(answer: Answer, asked: Asked) -> None:
    """AssertionError unless the gateway takes the request; a model that cannot chat is told by its own words."""
    if answer.status == 400 and re.search(NO_TEMPLATE.words, answer.text):
        raise Unhealthy(NO_TEMPLATE.cause(asked.name, (answer.evidence,)))
    answer.expect(200)
