"""The phase infra on a whole release: green, and red for each fault with the right first cause."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from infra_faults import INFRA, InfraRow
from sandboxes import Sandbox, judged, sandbox
from verdicts import green

from seatrial import docs


@pytest.fixture(scope="module")
def released() -> Iterator[Sandbox]:
    """One sandbox for all rows: each heals what it broke."""
    with sandbox() as one:
        yield one


@pytest.fixture(scope="module")
def documented() -> Iterator[Sandbox]:
    with sandbox("documented") as one:
        yield one


CHECKS = len([check for check in docs.checks() if check.phase == "infra"])


def test_green(released: Sandbox, tmp_path: Path) -> None:
    green(judged(tmp_path, "-m", "infra", **released.environment()), checks=CHECKS)


def test_green_by_the_documented_contract(documented: Sandbox, tmp_path: Path) -> None:
    run = judged(tmp_path, "-m", "infra", **documented.environment())
    green(run, checks=CHECKS)
    assert run.verdicts["infra/embedded_kubeconfig_is_valid"] == "pass"


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=row.fault, marks=[pytest.mark.prove] if row.long_proof else []) for row in INFRA]
)
def test_fault(request: pytest.FixtureRequest, tmp_path: Path, row: InfraRow) -> None:
    release: Sandbox = request.getfixturevalue("documented" if row.documented else "released")
    with release.broken(row.fault):
        run = judged(tmp_path, *row.select(), **release.environment())
    verdicts = {name.partition("/")[2]: verdict for name, verdict in run.verdicts.items()}
    assert verdicts == dict.fromkeys(row.runs or row.fails, "pass") | dict.fromkeys(row.fails, "fail"), run.out
    first = next(check for check in run.run["checks"] if check["verdict"] == "fail")
    assert row.cause in first["line"], run.out
    assert (run.code, run.run["left"]) == (1, []), run.out
    assert "Traceback" not in run.out
