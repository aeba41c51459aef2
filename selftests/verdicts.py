"""What a whole run of the suite came to; everything it wrote must say the same."""

from __future__ import annotations

import re

from dummies import Ended
from rows.gpu import ON_NODES
from rows.llm import TIER_B

from seatrial import docs

JUNIT = {"pass": "passed", "fail": "failure", "blocked": "error", "error": "error", "not applicable": "skipped"}
CHECKS = len(list(docs.checks()))
NOT_OF_THIS = {
    "infra/embedded_kubeconfig_is_valid",
    "preflight/images_are_from_expected_registries",
    "preflight/target_is_as_declared",
    "preflight/redis_broker_answers_ping",
    *(f"preflight/{name}" for name in ON_NODES),
    "preflight/service_bus_secret_exists",
    "preflight/service_bus_goes_round",
    "preflight/service_bus_pool_is_right",
    "tier_a/async_endpoint_survives_idle",
    *(f"tier_b/{name}" for name in TIER_B),
}
"""Not applicable to a release of the other contract, with another broker, or where nobody declares or asks for it."""


def green(run: Ended, *not_applicable: str, checks: int = CHECKS) -> None:
    """All passed but what is `not_applicable`; terminal, JUnit, run.json and exit code say the same."""
    assert run.code == 0, run.out
    other = {name for name, verdict in run.verdicts.items() if verdict == "not applicable"} & NOT_OF_THIS
    not_applicable = tuple({*not_applicable, *other})
    assert agreed(run) == dict.fromkeys(run.verdicts, "pass") | dict.fromkeys(not_applicable, "not applicable")
    assert len(run.verdicts) == checks
    passed, skipped = checks - len(not_applicable), len(not_applicable)
    assert f"== {passed} passed{f', {skipped} skipped' if skipped else ''}" in run.out
    said = run.out[run.out.find("NOT PROVEN  ") :]
    for check in not_applicable:  # many are listed by phase
        assert re.search(rf"\b{check.partition('/')[2]}\b", said), run.out
    if not not_applicable:
        assert re.search(rf"^proven +(all|{checks} of) {checks} selected checks$", run.out, re.M), run.out


def agreed(run: Ended, left: int = 0) -> dict[str, str]:
    """The verdicts, which JUnit, run.json and exit code must not contradict; `left`: how many things nobody removes."""
    verdicts = {check["id"]: check["verdict"] for check in run.run["checks"]}
    assert run.junit == {name.partition("/")[2]: JUNIT[verdict] for name, verdict in verdicts.items()}
    assert run.run["exit"] == run.code
    assert (len(run.run["left"]), run.run["lost_workers"]) == (left, []), run.out
    return verdicts
