"""Tasks that run beside everything else until they are cancelled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine

log = logging.getLogger("sandbox")


def background(work: Coroutine[None, None, None]) -> asyncio.Task[None]:
    """Start `work`; should it fail, the log says so at once, not whoever gathers it at the end."""
    task = asyncio.create_task(work)
    task.add_done_callback(_tell)
    return task


def _tell(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("%s has ended: %r", task.get_coro(), error, exc_info=error)
