"""Phases are modules: a check's phase marker comes from its file name, and with ``-n`` a phase stays on one worker."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from _pytest.mark.expression import Expression
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

from seatrial.checks import phase_of

ORDER = ("preflight", "infra", "control_plane", "tier_a", "tier_b")
"""As the runbook has them: what a phase needs is looked at before it. Others follow, by name."""


def register(config: pytest.Config) -> None:
    """Declare a marker for every phase, so that ``-m`` knows them and a misspelt one is refused."""
    for path in _modules(config):
        phase = phase_of(path.name)
        config.addinivalue_line("markers", f"{phase}: the checks of {path.name}")


def mark(items: Iterable[pytest.Item]) -> None:
    """Give each check the marker of its phase."""
    for item in items:
        item.add_marker(phase_of(item.nodeid))


def sort(items: list[pytest.Item]) -> None:
    """Put the phases into their order; within one the checks stay in theirs. What is marked `last` looks back."""
    items.sort(key=lambda item: (bool(item.get_closest_marker("last")), *_place(phase_of(item.nodeid))))


def refuse_unknown_markers(config: pytest.Config) -> None:
    """`pytest.UsageError` for a name in ``-m`` that no marker has: with ``-n`` pytest itself finds it too late."""
    expression = config.getoption("markexpr")
    if not expression:
        return
    known = {line.partition(":")[0].partition("(")[0].strip() for line in config.getini("markers")}
    try:
        names = set(Expression.compile(expression).idents())
    except SyntaxError as error:
        raise pytest.UsageError(f"-m {expression!r} is no marker expression: {error.msg}") from None
    if unknown := sorted(names - known):
        ours = sorted(phase_of(path.name) for path in _modules(config))
        raise pytest.UsageError(
            f"-m {expression!r}: no marker is called {', '.join(unknown)}; phases: {', '.join(ours)}"
        )


def _place(phase: str) -> tuple[int, str]:
    return ORDER.index(phase) if phase in ORDER else len(ORDER), phase


def _modules(config: pytest.Config) -> list[Path]:
    found = (path for folder in config.getini("testpaths") for path in (config.rootpath / folder).glob("test_*.py"))
    return sorted(found, key=lambda path: _place(phase_of(path.name)))


class PhaseScheduling(LoadFileScheduling):  # type: ignore[misc]
    """A dead worker's phases are not handed on: their endpoints and their remembered steps died with it."""

    def remove_node(self, node: WorkerController) -> str | None:
        """Drop what `node` had; returns the check it was at, if any."""
        units: Sequence[dict[str, bool]] = list(self.assigned_work.pop(node).values())
        return next((nodeid for unit in units for nodeid, done in unit.items() if not done), None)

    def _assign_work_unit(self, node: WorkerController) -> None:
        with suppress(OSError):  # it has just died: remove_node() follows
            super()._assign_work_unit(node)
