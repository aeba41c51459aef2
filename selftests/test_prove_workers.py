"""A worker killed at every point of its life, often enough to meet what happens seldom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import test_verdicts
from dummies import Ended, Suite
from prove_results import proven

pytestmark = pytest.mark.prove

TIMES = 20
LAST = "last session teardown"


class Remembered(Suite):
    """A suite that keeps how its last run ended."""

    last: Ended

    def pytest(self, *arguments: Any, **keywords: Any) -> Ended:
        self.last = super().pytest(*arguments, **keywords)
        return self.last


@pytest.mark.parametrize("nth", range(1, TIMES + 1))
@pytest.mark.parametrize("where", [*test_verdicts.KILLED, LAST])
def test_killed_worker(tmp_path: Path, where: str, nth: int) -> None:
    with proven(f"worker/{where}/{nth}"):
        suite = Remembered(tmp_path)
        if where == LAST:
            test_verdicts.test_worker_killed_after_its_last_check(suite)
        else:
            test_verdicts.test_killed_worker(suite, where)
        wanted = {path.stem.removeprefix("test_") for path in (tmp_path / "tests").glob("test_*.py")}
        ended = suite.last
        assert {check.partition("/")[0] for check in ended.verdicts} == wanted, ended.out
        assert ended.code == 3, ended.out
        assert "INTERNALERROR" not in ended.out
        assert "STILL RUNNING" not in ended.out
