"""Times as the Kubernetes API writes them."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> str:
    """The time to the second, e.g. ``2026-11-21T08:00:00Z``."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def now_nanoseconds() -> str:
    """The time as log lines carry it, e.g. ``2026-11-21T08:00:00.123456789Z``: of one width, so that text sorts."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09}Z"


def duration(seconds: float) -> str:
    """A duration as Go prints it, to the millisecond: ``0s``, ``350ms``, ``10s``, ``1m20s``, ``5m0s``."""
    if 0.001 <= seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    minutes, rest = divmod(round(seconds, 3), 60)
    return f"{minutes:.0f}m{rest:g}s" if minutes else f"{rest:g}s"
