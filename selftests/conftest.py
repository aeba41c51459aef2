"""Which self-tests share a worker: those of a module, whose sandbox is theirs; the faults, the longest, go to two."""

from __future__ import annotations

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group them for pytest-xdist's ``--dist loadgroup``."""
    for number, item in enumerate(items):
        half = number % 2 if item.path.stem == "test_faults" else ""
        item.add_marker(pytest.mark.xdist_group(f"{item.path.stem}{half}"))
