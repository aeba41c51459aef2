"""Our own hooks: how a system under test, one module in fixtures/, joins a run without being named anywhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from seatrial.journal import Entry
from seatrial.kube import Kube
from seatrial.trial import Trial

Cleaner = Callable[[Trial, Entry], list[str] | None]
"""Deletes what a journal entry stands for and returns once it is gone; raises, saying what is left, if it is not.

It may return lines about what is terminating, each with its deadline: that needs no more work.
"""

Finder = Callable[[Trial], Iterable[Entry]]
"""Finds what runs of ours have made, of any run, by name and label, as journal entries that its cleaner takes.

An entry's `name` ends with the id of its run, or `how` has it as ``run``; `how` may have the ``expires`` of the thing
(RFC 3339). ``after`` and ``by``: the name of the entry, and its finder, that must be gone before; ``owned``: its own
finder, where it goes with what it belongs to. It raises, saying why, where it may not look or nobody answers; what it
gave before that counts. `trial.writes` is False where it must not make anything to look with.
"""


@pytest.hookspec
def pytest_seatrial_target(trial: Trial) -> list[str] | None:
    """Before anything runs, in the controlling process: lines about the target, for the head of the run.

    Raise `seatrial.verdict.BadSettings` for what can be known without asking the target, or when it does not exist:
    it is exit 4. Anything else about the target is found by the fixtures.
    """


@pytest.hookspec
def pytest_seatrial_cleaners() -> dict[str, Cleaner]:  # type: ignore[empty-body]
    """What removes each kind of journal entry."""


@pytest.hookspec
def pytest_seatrial_finders() -> dict[str, Finder]:  # type: ignore[empty-body]
    """What finds things of ours of each kind, for ``python -m seatrial sweep``."""


@pytest.hookspec
def pytest_seatrial_identity(trial: Trial, kube: Kube) -> str | None:
    """What the system under test is now, in parts separated by ``; ``; None if the run is not about it.

    Asked at the start and after each check: one that is judged while it changed is *error* (changed). It names what was
    installed, not how much of it runs.
    """
