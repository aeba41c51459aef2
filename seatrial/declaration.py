"""A run's declaration, remembered in pytest's cache: ``--lf`` repeats what failed, and inherits what was declared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from seatrial.expectations import declared
from seatrial.trial import Trial

_KEY = "seatrial/declared"


def inherited(config: pytest.Config) -> dict[str, Any]:
    """Settings of the run that ``--lf`` repeats, where it declared something on its command line."""
    expect = _remembered(config).get("expect")
    return {"inherited": {"expect": expect}} if expect else {}


def markers(config: pytest.Config, items: Iterable[pytest.Item]) -> frozenset[str]:
    """The phases, clouds and vendors that ``-m`` declares, or declared in the run that ``--lf`` repeats."""
    return declared(items, config.getoption("markexpr") or "") | frozenset(_remembered(config).get("markers", ()))


def remember(config: pytest.Config, trial: Trial) -> None:
    """At the end of a run, for the next one."""
    if getattr(config, "cache", None) is not None:
        by_hand = trial.settings.source("expect").startswith(("--", "the run"))
        expect = trial.settings.expect.data() if by_hand else None
        config.cache.set(_KEY, {"markers": sorted(trial.declared), "expect": expect})


def _remembered(config: pytest.Config) -> dict[str, Any]:
    if not config.getoption("lf", False) or getattr(config, "cache", None) is None:
        return {}
    found = config.cache.get(_KEY, {})
    return found if isinstance(found, dict) else {}
