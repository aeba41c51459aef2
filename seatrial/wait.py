"""The one loop. A probe returns when it is satisfied and asserts "not yet, because …" while it is not."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from seatrial.verdict import Cause, Unhealthy, Unreachable

T = TypeVar("T")

FIRST, LONGEST = 0.2, 2.0
"""Seconds between two looks: the first pause, and the longest that it grows to."""
GONE = 60.0
"""Seconds after which an API server that does not answer is no longer ridden out."""


def pause(seconds: float) -> None:
    """Let `seconds` go by, since the other side asked for them. Whoever waits for something uses `Wait.until`."""
    time.sleep(seconds)


class Watcher(Protocol):
    """Is told how a wait goes on: see `seatrial.progress`."""

    def waiting(self, what: str, seconds: float, reason: str, *, changed: bool) -> None:
        """`what` is waited for since `seconds`, and this is why it is not there yet."""

    def waited(self, what: str, seconds: float) -> None:
        """The wait for `what` is over, well or not."""


class Unwatched:
    """A watcher that tells nobody."""

    def waiting(self, what: str, seconds: float, reason: str, *, changed: bool) -> None: ...

    def waited(self, what: str, seconds: float) -> None: ...


@dataclass
class Story:
    """How the reason for "not yet" changed: each reason with the second at which it was first heard."""

    chapters: list[tuple[float, str]] = field(default_factory=list)

    def add(self, seconds: float, reason: str) -> bool:
        """Whether `reason` is another one than the last."""
        if self.chapters and self.chapters[-1][1] == reason:
            return False
        self.chapters.append((seconds, reason))
        return True

    def lines(self) -> tuple[str, ...]:
        """One line a chapter, the last six at most."""
        return tuple(f"after {seconds:.0f} s: {reason}" for seconds, reason in self.chapters[-6:])


@dataclass(frozen=True)
class Wait:
    """The loop with this run's factor on every duration. `until` is all there is."""

    factor: float = 1.0
    settle: float = 15.0
    watcher: Watcher = field(default_factory=Unwatched)
    known: set[str] = field(default_factory=set)
    """What the causes that have ended a wait of this run share with others, see `Cause.alike`."""

    def until(
        self, probe: Callable[[], T], timeout: float, *, what: str, since: float | None = None, fixed: bool = False
    ) -> T:
        """What `probe` returns once it is satisfied.

        `timeout` is in seconds, times the factor, counted from `since` (`time.monotonic()` at the request) or from now.
        Raises `Unhealthy` with the cause as soon as one cause has held its `settle` seconds, and at the timeout with
        the last cause, or with the story of the reasons; `Unreachable` once the API server has been gone for a minute.
        With `fixed` the factor does not apply: it is a time of the product's own that is waited out.
        """
        began = time.monotonic() if since is None else since
        longest = timeout if fixed else timeout * self.factor
        story, pause, cause, held, gone = Story(), FIRST, None, 0.0, None
        try:
            while True:
                now = time.monotonic()
                try:
                    return probe()
                except Unreachable as error:
                    gone = gone or now
                    if now - gone >= GONE * self.factor:
                        raise
                    refused: Exception = error
                    found = None
                except AssertionError as error:
                    gone, refused = None, error
                    found = error.cause if isinstance(error, Unhealthy) else None
                if (found and found.key) != (cause and cause.key):
                    held = now
                cause = found
                reason = _first_line(refused)
                self.watcher.waiting(what, now - began, reason, changed=story.add(now - began, reason))
                if cause and cause.certain and time.monotonic() - held >= self._settle(cause):
                    self.known.add(cause.alike)
                    raise Unhealthy(cause) from refused
                left = began + longest - time.monotonic()
                if left <= 0:
                    raise Unhealthy(cause or _timed_out(what, longest, story)) from refused
                time.sleep(min(pause, left))
                pause = min(pause * 1.4, LONGEST)
        finally:
            self.watcher.waited(what, time.monotonic() - began)

    def idle(self, seconds: float, *, what: str) -> None:
        """Do nothing for `seconds`, times the factor: for what happens to those who do nothing."""
        end = time.monotonic() + seconds * self.factor

        def over() -> None:
            assert time.monotonic() >= end, f"{max(0.0, end - time.monotonic()):.0f} s to go"

        self.until(over, seconds + LONGEST / self.factor, what=what)

    def _settle(self, cause: Cause) -> float:
        if cause.alike and cause.alike in self.known and cause.settle != math.inf:
            return 0.0
        return self.factor * (self.settle if cause.settle is None else cause.settle)


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _timed_out(what: str, seconds: float, story: Story) -> Cause:
    return Cause(f"timeout/{what}", f"{what}: not within {seconds:g} s", story.lines(), certain=False)
