"""Output whose reader may go away, as ``| head`` does: what is said from then on is lost, and the work goes on."""

from __future__ import annotations

import os
from typing import Any, TextIO, cast


class _Piped:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._to_nobody()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._to_nobody()

    def _to_nobody(self) -> None:
        """What is still buffered has to go somewhere."""
        nobody = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nobody, self._stream.fileno())
        os.close(nobody)


def piped(stream: TextIO) -> TextIO:
    """`stream`, without the exception for a reader that is gone."""
    return cast(TextIO, _Piped(stream))
