"""Which self-tests share a worker and a sandbox, and which begin first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sandboxes import Sandbox, sandbox

pytest_plugins = ("prove_kept",)

SHARING = (
    *("test_access", "test_bad_input", "test_guarded", "test_infra", "test_order", "test_permissions"),
    *("test_secrets", "test_selection"),
)
"""They share one sandbox, the costliest thing here: each leaves it as it was."""
SPREAD = ("test_prove_faults", "test_prove_workers")
"""Of the proof: each of their tests goes to whichever worker is free, unless it says where."""
LONGEST = (
    *SPREAD,
    "test_faults",
    "test_interrupts",
    "test_runs",
    "test_model_engine_released",
    *SHARING,
    "test_sandboxed",
)
"""They begin first, so that none of them is what everybody waits for in the end."""


@pytest.fixture(scope="session")
def released() -> Iterator[Sandbox]:
    """The sandbox that modules share."""
    with sandbox() as one:
        yield one


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group them for ``--dist loadgroup``: who shares a sandbox shares a worker; the faults, the longest, go to two."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))
    alone = [item for item in items if not item.get_closest_marker("xdist_group") and item.path.stem not in SPREAD]
    for number, item in enumerate(alone):
        group = "sharing" if item.path.stem in SHARING else item.path.stem
        half = number % 2 if group == "test_faults" else ""
        item.add_marker(pytest.mark.xdist_group(f"{group}{half}"))
