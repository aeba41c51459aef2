"""Programs that end when the process which started them does, however that ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from sandbox.backends import tied

KEEP = -1  # as user and group: stay who we are


async def start(
    argv: Sequence[str],
    *,
    log: IO[bytes],
    env: Mapping[str, str],
    cwd: Path,
    died: signal.Signals = signal.SIGKILL,
    user: int = KEEP,
    group: int = KEEP,
) -> asyncio.subprocess.Process:
    """The running program, its output in `log`; it gets `died` when this process ends. Call from the main thread.

    Through a launcher, not a ``preexec_fn``: that is unsafe in a process with threads (Python 3.12 warns).
    """
    words = [str(os.getpid()), str(int(died)), str(user), str(group), *argv]
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", tied.__file__, *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=dict(env),
        cwd=cwd,
    )
