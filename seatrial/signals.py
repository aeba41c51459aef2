"""Ctrl-C, SIGTERM and a closed terminal: the first one ends the run in order, the second at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

EXIT = 2
ONE = 0.3
"""Seconds within which signals count as one: `timeout`, for instance, sends its own to the process and to its group."""
AGAIN = 1.0
"""Seconds after which an interrupt that nobody heard is raised again: Python drops one that meets a finalizer."""
WHOLE = 3.0
"""Seconds for which a signal waits for the answer to a create: it says whether there is something to remove."""


class Signals:
    """In the controlling process: raises KeyboardInterrupt for the first signal, until the run ends in order anyway.

    `sweep` is the command that removes what the run made, once there may be something, `then` what is done about it
    now. `leave` is called before the process is left at once; it must be short and take no lock.
    """

    def __init__(self) -> None:
        self.at: float | None = None
        """When the first signal came (`time.monotonic`)."""
        self.sweep = ""
        self.then = ""
        self.over = False
        """Whether all is removed and written: a signal that comes while the end is printed changes nothing."""
        self.leave: Callable[[], None] = lambda: None
        self._out = os.dup(2)  # pytest's capture takes the descriptor itself
        self._raise_again = False
        self._whole = 0
        self._heard = threading.Event()
        self._in_order = threading.Event()

    @property
    def came(self) -> bool:
        """Whether the run is to end."""
        return self.at is not None

    def install(self) -> None:
        """Take over the signals that nobody has set to be ignored; only a main thread can."""
        with contextlib.suppress(ValueError):
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, self._handle)
        threading.Thread(target=self._insist, daemon=True).start()

    def in_order(self) -> None:
        """From now on the run ends in order: the first signal raises nothing any more, it is only noted."""
        self._in_order.set()

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        """What belongs together, a create and its answer: an interrupt comes after it, unless it takes long."""
        self._whole += 1
        try:
            yield
        finally:
            self._whole -= 1
            if self.came and not self._in_order.is_set():
                raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        waits = self._whole > 0
        if self._raise_again:
            self._raise_again = waits = False
        elif self.at is None:
            self.at = time.monotonic()
            if not self.over:
                self._say(number, self.then)
            self._heard.set()
        elif time.monotonic() - self.at > ONE:
            self._say(number, "left at once; what the run made is removed by:")
            self.leave()
            os._exit(EXIT)
        else:
            return
        if not waits and not self._in_order.is_set():
            raise KeyboardInterrupt

    def _insist(self) -> None:
        self._heard.wait()
        while not self._in_order.wait(AGAIN):
            if self._whole and time.monotonic() - (self.at or 0.0) < WHOLE:
                continue
            self._raise_again = True
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def _say(self, number: int, then: str) -> None:
        name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        said = f"{then}\n  {self.sweep}" if self.sweep else "nothing was made yet"
        with contextlib.suppress(OSError):
            os.write(self._out, f"\ninterrupted ({name}): {said}\n".encode())
