"""The systems under test as the command line has them: the modules that the root conftest.py names, without a run."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import pytest

from seatrial import hookspecs
from seatrial.hookspecs import Cleaner, Finder

CONFTEST = Path(__file__).parent.parent / "conftest.py"


class Systems:
    """Asks our own hooks of every module in fixtures/."""

    def __init__(self) -> None:
        spec = importlib.util.spec_from_file_location("seatrial_conftest", CONFTEST)
        if spec is None or spec.loader is None:
            raise LookupError(f"there is no {CONFTEST}")
        conftest = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(conftest)
        self._manager = pytest.PytestPluginManager()
        self._manager.add_hookspecs(hookspecs)
        for name in conftest.pytest_plugins:
            if name.startswith("fixtures."):
                self._manager.register(importlib.import_module(name), name)

    @property
    def cleaners(self) -> Mapping[str, Cleaner]:
        """What removes each kind of journal entry."""
        return {k: v for some in self._manager.hook.pytest_seatrial_cleaners() for k, v in some.items()}

    @property
    def finders(self) -> Mapping[str, Finder]:
        """What finds things of ours, by what it looks for."""
        return {k: v for some in self._manager.hook.pytest_seatrial_finders() for k, v in some.items()}
