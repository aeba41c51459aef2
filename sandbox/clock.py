"""The stand-ins' own timers, scaled together: back-offs, probe periods, caches, grace periods.

``SANDBOX_TIME_SCALE`` (a factor, default 1) is set by ``python -m sandbox up --time-scale F`` and handed to every pod.
"""

import asyncio
import os


def scale() -> float:
    """The factor that all stand-ins' timers are multiplied with."""
    return float(os.environ.get("SANDBOX_TIME_SCALE", "1"))


def scaled(seconds: float) -> float:
    """A stand-in's timer of `seconds` at factor 1, in real seconds."""
    return seconds * scale()


async def sleep(seconds: float) -> None:
    """Sleep `seconds` of the stand-ins' time."""
    await asyncio.sleep(scaled(seconds))
