"""Our own hooks: how a system under test, one module in fixtures/, joins a run without being named anywhere else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from seatrial.journal import Entry
from seatrial.trial import Trial

Cleaner = Callable[[Trial, Entry], None]
"""Deletes what a journal entry stands for and returns once it is gone; raises, saying what is left, if it is not."""


@pytest.hookspec
def pytest_seatrial_target(trial: Trial) -> list[str] | None:
    """Before anything runs, in the controlling process: lines about the target, for the head of the run.

    Raise `seatrial.verdict.BadSettings` for what can be known without asking the target, or when it does not exist:
    it is exit 4. Anything else about the target is found by the fixtures.
    """


@pytest.hookspec
def pytest_seatrial_cleaners() -> dict[str, Cleaner]:  # type: ignore[empty-body]
    """What removes each kind of journal entry."""
