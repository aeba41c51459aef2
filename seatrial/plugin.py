"""The pytest plug-in, loaded by the root conftest.py: a few hooks that put the classes beside it in place."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from seatrial import hookspecs, options, phases, workers
from seatrial.controller import Controller
from seatrial.progress import Progress
from seatrial.record import Record
from seatrial.run import Run
from seatrial.runner import Runner, refuse_optimised_python
from seatrial.settings import Settings
from seatrial.trial import TRIAL, Trial


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Ours stand beside pytest's."""
    pluginmanager.add_hookspecs(hookspecs)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Ours stand beside pytest's."""
    options.add(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse what can never work, then register what this process needs."""
    refuse_optimised_python()
    phases.register(config)
    config.pluginmanager.register(Runner(config), "seatrial-runner")
    if hasattr(config, "workerinput"):
        _join(config)
        return
    options.refuse_sandbox_options_alone(config)
    options.give_back_path(config)
    phases.refuse_unknown_markers(config)
    if config.getoption("tx", None):
        workers.prepare(config)
    if config.option.tbstyle == "auto":
        config.option.tbstyle = "no"  # the report says it in three lines; --tb=short brings pytest's own sections back
    if config.option.reportchars == "fE":
        config.option.reportchars = ""  # pytest's default summary, said better above; -r brings it back
    config.pluginmanager.register(Controller(config), "seatrial-controller")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Phases are modules, and have an order."""
    options.refuse_unknown_disruptive(config, items)
    phases.mark(items)
    phases.sort(items)


@pytest.fixture(scope="session")
def trial(request: pytest.FixtureRequest) -> Trial:
    """Settings, record, journal and the loop of this run."""
    return request.config.stash[TRIAL]


def _join(config: pytest.Config) -> None:
    """A worker's part in a run that the controller has opened; Ctrl-C is the controller's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    workers.end_with(os.getppid())
    worker: dict[str, Any] = config.workerinput  # type: ignore[attr-defined]  # pytest-xdist puts it there
    given = worker["seatrial"]
    run = Run(given["run"], Path(given["directory"]), worker["workerid"])
    settings = Settings.load({**options.given(config), **given}, os.environ, config.invocation_params.dir)
    record = Record(run)
    config.stash[TRIAL] = Trial(
        run,
        settings,
        record,
        needs=frozenset(given["needs"]),
        writes=given["writes"],
        declared=frozenset(given["declared"]),
        identity=given["identity"],
        keep=options.keep(config),
        watcher=Progress(config, run.worker, record=record),
    )
