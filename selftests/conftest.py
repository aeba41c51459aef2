"""Which self-tests share a worker, and which begin first."""

from __future__ import annotations

import pytest

LONGEST = (
    "test_faults",
    "test_interrupts",
    "test_runs",
    "test_model_engine_released",
    "test_secrets",
    "test_sandboxed",
)
"""They begin first, so that none of them is what everybody waits for in the end."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group them for ``--dist loadgroup``: a module has its sandbox to itself; the faults, the longest, go to two."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))
    for number, item in enumerate(items):
        half = number % 2 if item.path.stem == "test_faults" else ""
        item.add_marker(pytest.mark.xdist_group(f"{item.path.stem}{half}"))
