"""What a task came to, as both contracts say it. HTTP 200 says little, and SUCCESS alone does not say much more."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from seatrial.http import Answer
from seatrial.sse import events

OVER = ("SUCCESS", "FAILURE", "REVOKED")
"""What changes no more. Anything else is not over, or nobody knows of it: the released gateway says PENDING of a task
that never was, for ever."""


@dataclass(frozen=True)
class Task:
    """`status` as the gateway says it; `code`: the worker's HTTP status, where the contract tells it; `result`: the
    worker's own answer; `text` quotes the gateway."""

    status: str
    code: int | None
    result: Any
    text: str

    @property
    def succeeded(self) -> bool:
        """Whether the worker did it. The released gateway says SUCCESS of an async task that the worker failed, too."""
        return self.status == "SUCCESS" and self.code in (None, 200)

    @property
    def over(self) -> bool:
        """Whether nothing changes any more."""
        return self.status in OVER

    def echo(self) -> Any:
        """What came back from the worker; AssertionError unless the task succeeded."""
        code = "" if self.code is None else f" with status_code {self.code}"
        assert self.succeeded, f"the task's status is {self.status}{code}: {self.text}"
        return self.result


def task(answer: Answer) -> Task:
    """The task that an answer tells of. AssertionError if the gateway itself refused it, or answers no task."""
    answer.expect(200)
    return _task(answer.json(), answer.said, answer.asked)


def echoed(answer: Answer) -> Any:
    """What came back from a worker. AssertionError unless the task succeeded, whatever HTTP says."""
    done = task(answer)
    code = "" if done.code in (None, 200) else f" with status_code {done.code}"
    assert done.succeeded, (
        f"{answer.asked} answered HTTP {answer.status}, and the task's status is {done.status}{code}: {done.text}"
    )
    return done.result


def streamed(answer: Answer) -> list[Any]:
    """What came back in the events of a stream, one after the other. AssertionError unless each is a success."""
    answer.expect(200)
    kind = answer.headers.get("content-type", "none")
    assert kind.startswith("text/event-stream"), f"{answer.asked} answers no event stream, content-type {kind}"
    found = [event.data for event in events([answer.content])]
    assert found, f"{answer.asked} answers a stream without an event: {answer.said}"
    return [_of_event(data, answer.asked).echo() for data in found]


def _of_event(data: str, asked: str) -> Task:
    try:
        return _task(json.loads(data), data[:300], asked)
    except json.JSONDecodeError:
        raise AssertionError(f"{asked} streams an event that is no JSON: {data[:300]}") from None


def _task(body: Any, said: str, asked: str) -> Task:
    status = body.get("status") if isinstance(body, dict) else None
    assert status is not None, f"{asked} answers no task: {said}"
    return Task(str(status), body.get("status_code"), _unwrapped(body.get("result")), said)


def _unwrapped(result: Any) -> Any:
    """The worker's own answer: the released forwarder wraps it, as a string of JSON, or in a stream as it is."""
    match result:
        case {"result": str(text)} if len(result) == 1:
            try:
                return json.loads(text)
            except json.JSONDecodeError:
                return text
        case {"result": inner} if len(result) == 1:
            return inner
        case _:
            return result
