"""Steps of a lifecycle: each is done once, and how it ended is remembered, so that nobody waits twice for one thing."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from seatrial.verdict import Blocked, Cause, Unhealthy

T = TypeVar("T")
S = TypeVar("S")
P = ParamSpec("P")


def step(method: Callable[[S], T]) -> Callable[[S], T]:
    """A method that is done at its first call; every later call gives the same result or raises the same error."""

    @functools.wraps(method)
    def once(self: S) -> T:
        done: dict[str, tuple[Any, Exception | None]] = self.__dict__.setdefault("_steps", {})
        if method.__name__ not in done:
            try:
                done[method.__name__] = (method(self), None)
            except Unhealthy as error:
                done[method.__name__] = (None, error)
            except AssertionError as error:  # gets a cause, so that what it blocks later is told to be the same
                done[method.__name__] = (None, Unhealthy(_cause(f"{method.__qualname__}/{self}", error)))
            except Exception as error:
                done[method.__name__] = (None, error)
        result, failed = done[method.__name__]
        if failed is not None:
            raise failed.with_traceback(None)
        return result  # type: ignore[no-any-return]

    return once


def tried(lifecycle: object, name: str) -> bool:
    """Whether the step `name` was begun and has ended, well or not."""
    return name in lifecycle.__dict__.get("_steps", {})


def needed(method: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T:
    """What an earlier step gives; if it failed, that stands in its own check, and here it blocks."""
    try:
        return method(*arguments, **keywords)
    except Unhealthy as error:
        raise Blocked(error.cause) from None
    except AssertionError as error:
        raise Blocked(_cause(getattr(method, "__qualname__", str(method)), error)) from None


def _cause(key: str, error: AssertionError) -> Cause:
    line, *_ = str(error).strip().splitlines() or ["an assertion without words"]
    return Cause(key, line)
