"""How a wait is shown while it lasts: a live line on a terminal, a line per change of reason everywhere else."""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TextIO

import pytest

from seatrial.mask import masked
from seatrial.record import Record

EVERY = 30.0
"""Seconds after which a log shows a sign of life even though the reason is still the same."""


class Progress:
    """`seatrial.wait.Watcher` for one process; `worker` prefixes its lines when there are several."""

    def __init__(self, config: pytest.Config, worker: str = "", *, record: Record) -> None:
        self._record = record
        self._capture: Any = config.pluginmanager.get_plugin("capturemanager")
        self._prefix = f"[{worker}] " if worker else ""
        self._live = not worker and sys.__stderr__ is not None and sys.__stderr__.isatty()
        self._last = 0.0
        self._shown = False

    def waiting(self, what: str, seconds: float, reason: str, *, changed: bool) -> None:
        """`what` is waited for since `seconds`, and this is why it is not there yet."""
        if changed:
            self._record.event("waiting", what=what, seconds=round(seconds, 1), reason=reason)
        line = masked(f"{self._prefix}waiting for {what}: {seconds:.0f} s, {reason}")
        if self._live:
            # On a line of its own: what pytest has said on its line stays.
            self._write(("" if self._shown else "\n") + "\r\x1b[K" + line[: _columns() - 1])
            self._shown = True
        elif changed or time.monotonic() - self._last >= EVERY:
            self._last = time.monotonic()
            self._write(("" if self._shown else "\n") + line + "\n")
            self._shown = True

    def waited(self, what: str, seconds: float) -> None:
        """The wait is over: a live line makes room."""
        if self._live and self._shown:
            self._write("\r\x1b[K")
        self._shown = False

    def _write(self, text: str) -> None:
        stream: TextIO | None = sys.__stderr__
        if stream is None:
            return
        shown: AbstractContextManager[Any] = nullcontext()
        if self._capture is not None:
            shown = self._capture.global_and_fixture_disabled()
        with shown:
            stream.write(text)
            stream.flush()


def _columns() -> int:
    return shutil.get_terminal_size().columns
