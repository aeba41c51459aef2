"""The worker beside a forwarder: where it listens, and when it does."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from logging import Logger

from sandbox import clock

PORT = 5005
RETRY = 1.0  # seconds


def await_ready(url: str, logger: Logger) -> None:
    """Return once `url` answers 200: a forwarder does not listen before."""
    while not _answers(url):
        logger.info(f"Waiting for user-defined service to be ready at {url}...")
        time.sleep(clock.scaled(RETRY))


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
