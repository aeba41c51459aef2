"""The garbage collector leaves alone what is imported, and what stands when a process ends: none of it is garbage.

To look through it all, several times at the start and twice at the end, takes a third of a short run's time. Imported
before anything else, by the root conftest.py and by ``python -m seatrial``.
"""

from __future__ import annotations

import atexit
import gc

import pytest

gc.disable()
atexit.register(gc.freeze)


def begin() -> None:
    """What is imported stands; from here on there is garbage to collect."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """The checks are imported, too."""
    begin()


def pytest_unconfigure() -> None:
    """Before pytest's own last collections."""
    gc.freeze()
