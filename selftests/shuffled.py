"""A plug-in for ``-p``: modules and checks in an order by chance, $SHUFFLED its seed; deletes last in their module."""

from __future__ import annotations

import os
import random

import pytest

LAST = ("is_deleted", "is_left")
"""How the names of those checks end that are about the end of what the others need, in this order."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The same order in every process of a run."""
    chance = random.Random(os.environ["SHUFFLED"])
    modules = sorted({item.path for item in items})
    chance.shuffle(modules)
    chance.shuffle(items)

    def place(item: pytest.Item) -> tuple[int, int]:
        late = next((number for number, end in enumerate(LAST, 1) if item.name.endswith(end)), 0)
        return modules.index(item.path), late

    items.sort(key=place)
