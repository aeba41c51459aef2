"""Which self-tests share a worker and a sandbox, and which begin first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.nodeid import NodeId
from api_server import Api
from sandboxes import Sandbox, sandbox

from seatrial.kube import Kube
from seatrial.record import Record
from seatrial.resources import NAMESPACES
from seatrial.run import Run

pytest_plugins = ("prove_kept",)

SPREAD = ("test_faults", "test_everywhere", "test_prove_faults", "test_prove_workers")
"""Each of their tests goes to whichever worker is free, unless it says where; other modules stay whole."""
LONGEST = (
    *("test_prove_faults", "test_prove_workers", "test_interrupts", "test_runs", "test_sweep", "test_faults"),
    *("test_sandboxed", "test_model_engine_released", "test_model_engine_documented", "test_model_engine_words"),
    *(
        "test_llm_sandbox",
        "test_gpu_nodes",
        "test_sandbox_up",
        "test_probe_programs",
        "test_bad_input",
        "test_doctor",
        "test_guarded",
        "test_preflight",
        "test_changed",
        "test_selection",
    ),
    "test_permissions",
)
"""They begin first, so that none of them is what everybody waits for in the end."""


@pytest.fixture(scope="session")
def released() -> Iterator[Sandbox]:
    """The sandbox that tests share, one for each worker: each leaves it as it was."""
    with sandbox() as one:
        yield one


@pytest.fixture(scope="session")
def nvidia() -> Iterator[Sandbox]:
    """The same with GPU nodes, for the one worker of the group ``nvidia``."""
    with sandbox("nvidia") as one:
        yield one


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    """Of a run that has begun nothing yet."""
    made = Record(Run("t5k2m9x7qd", tmp_path / "run"))
    yield made
    made.close()


@pytest.fixture
def kube(tmp_path: Path, record: Record) -> Iterator[Kube]:
    """A client of an API server with the namespace models."""
    with Api(tmp_path) as api, Kube.connect(api.config, "sandbox", record=record) as client:
        client.create(NAMESPACES, {"metadata": {"name": "models"}})
        yield client


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest first, in groups for ``--dist loadgroup``."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))
    if config.getoption("loadgroup", False):  # with workers, in each of them
        for item in items:
            _group(item)


def _group(item: pytest.Item) -> None:
    """Write its group where pytest-xdist's scheduler reads it; its release 3.8 has no effect on pytest 9.2."""
    mark = item.get_closest_marker("xdist_group")
    name = mark.args[0] if mark else "" if item.path.stem in SPREAD else item.path.stem
    if name:
        item._id = NodeId.parse(f"{item.nodeid}@{name}")
        if not item.nodeid.endswith(f"@{name}"):
            raise RuntimeError("pytest names its items in another way: every worker would start every sandbox")
