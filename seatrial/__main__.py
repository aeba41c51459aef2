"""``python -m seatrial``: answers Ctrl-C from its first line on; what it can do is in `seatrial.commands`."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn


def _at_once(_number: int, _frame: FrameType | None) -> NoReturn:
    """While there are only imports."""
    os.write(2, b"\ninterrupted (Ctrl-C): nothing was begun\n")
    os._exit(2)


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _at_once)
    from seatrial.commands import run

    sys.exit(run())
