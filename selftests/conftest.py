"""Which self-tests share a worker and a sandbox, and which begin first."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest
from _pytest.nodeid import NodeId
from api_server import Api
from logged import Logged
from sandboxes import Sandbox, sandbox

from seatrial.kube import Kube
from seatrial.record import Record
from seatrial.resources import NAMESPACES
from seatrial.run import Run

pytest_plugins = ("prove_kept",)
gc.disable()  # until all is imported

LONGEST = (
    *("test_prove_faults", "test_prove_workers", "test_runs", "test_sweep", "test_interrupts", "test_faults"),
    *("test_model_engine_documented", "test_model_engine_released", "test_model_engine_words", "test_sandboxed"),
    *("test_llm_sandbox", "test_gpu_nodes", "test_preflight", "test_sandbox_up", "test_probe_programs"),
    *("test_bad_input", "test_doctor", "test_guarded", "test_signals", "test_selection", "test_access", "test_unbuilt"),
    *("test_part_health", "test_kube_kubectl", "test_probe_service_bus", "test_changed", "test_permissions"),
)
"""They begin first, so that none of them is what everybody waits for in the end."""
STAYS = ("module", "class")
"""Scopes of fixtures for whose sake the tests of a module stay together; of the others each goes to any free worker."""

Deployed = Callable[..., Sandbox]


@pytest.fixture(scope="session")
def deployed() -> Iterator[Deployed]:
    """The sandboxes that tests of a worker share, by their words: each leaves one as it was."""
    with ExitStack() as stack:
        yield cache(lambda *words: stack.enter_context(sandbox(*words)))


@pytest.fixture(scope="session")
def released(deployed: Deployed) -> Sandbox:
    """The released contract, without GPUs."""
    return deployed()


@pytest.fixture(scope="session")
def documented(deployed: Deployed) -> Sandbox:
    """The documented one, for the one worker of the group ``documented``."""
    return deployed("documented")


@pytest.fixture(scope="session")
def nvidia(deployed: Deployed) -> Sandbox:
    """With GPU nodes, for the one worker of the group ``nvidia``."""
    return deployed("nvidia")


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


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logged]:
    """A release of which a test says what its parts have logged."""
    with Logged(tmp_path_factory.mktemp("logged")) as one:
        yield one


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest first, in groups for ``--dist loadgroup``."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))
    if config.getoption("loadgroup", False):  # with workers, in each of them
        for item in items:
            _group(item)


def pytest_collection_finish() -> None:
    """The garbage collector need not look through what is imported, each time anew."""
    gc.freeze()
    gc.enable()


def _group(item: pytest.Item) -> None:
    """Write its group where pytest-xdist's scheduler reads it; its release 3.8 has no effect on pytest 9.2."""
    mark = item.get_closest_marker("xdist_group")
    name = mark.args[0] if mark else item.path.stem if _stays(item) else ""
    if name:
        item._id = NodeId.parse(f"{item.nodeid}@{name}")
        if not item.nodeid.endswith(f"@{name}"):
            raise RuntimeError("pytest names its items in another way: every worker would start every sandbox")


def _stays(item: pytest.Item) -> bool:
    """Whether it shares a fixture with other tests of its module."""
    fixtures = item._fixtureinfo.name2fixturedefs.values()  # type: ignore[attr-defined]
    return any(one.scope in STAYS for found in fixtures for one in found)
