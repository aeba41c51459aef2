"""What the user reads at the end, word by word."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial import report

CAUSE = {
    "key": "pod.image-pull/registry.local/model-engine:1.9",
    "line": "the image registry.local/model-engine:1.9 cannot be pulled",
    "evidence": ["pod models/launch-x, container main: ErrImagePull, 2 failed pulls", "not found"],
    "certain": True,
    "settle": 0.0,
    "do": "push the image to that registry",
    "look": "kubectl --context prod -n models describe pod launch-x",
}


def check(name: str, verdict: str, seconds: float = 0.0, **more: Any) -> dict[str, Any]:
    phase = name.partition("/")[0]
    empty = {"reason": None, "line": "", "source": "", "do": "", "cause": None, "hint": "", "warnings": [], "notes": []}
    return {
        "id": name,
        "phase": phase,
        "claim": f"Claim of {name}.",
        "verdict": verdict,
        "seconds": seconds,
        **empty,
        **more,
    }


def told(*checks: dict[str, Any], **more: Any) -> str:
    run = {"run": "3lfz", "record": ".seatrial/3lfz", "head": [], "causes": {}, "left": [], "lost_workers": [], **more}
    return "\n".join(text for text, _ in report.lines({**run, "checks": checks}))


def test_green() -> None:
    assert told(check("control_plane/healthz", "pass", 0.1), check("tier_a/serves", "pass", 12.34)) == (
        "PASS     control_plane/healthz     0.1 s  Claim of control_plane/healthz.\n"
        "PASS     tier_a/serves            12.3 s  Claim of tier_a/serves.\n"
        "\n"
        "time           control_plane 0.1 s, tier_a 12.3 s\n"
        "record         .seatrial/3lfz\n"
        "proven         2 of 2 selected checks"
    )


def test_a_cause_is_told_once_with_what_it_blocked() -> None:
    text = told(
        check("tier_a/serves", "fail", 24, cause=CAUSE["key"], line=CAUSE["line"], hint="Look at the worker's pod."),
        check("tier_a/echoes", "blocked", cause=CAUSE["key"], line=CAUSE["line"]),
        check("tier_a/fails", "blocked", cause=CAUSE["key"], line=CAUSE["line"]),
        causes={CAUSE["key"]: CAUSE},
    )
    assert text.split("\n", 3)[3] == (
        "\n"
        "FAIL      tier_a/serves  24 s\n"
        "  cause     the image registry.local/model-engine:1.9 cannot be pulled  (certain)\n"
        "  evidence  pod models/launch-x, container main: ErrImagePull, 2 failed pulls\n"
        "            not found\n"
        "  look      kubectl --context prod -n models describe pod launch-x\n"
        "  do        push the image to that registry; then: pytest --lf\n"
        "BLOCKED   2 checks by it: tier_a/echoes, tier_a/fails\n"
        "\n"
        "time           tier_a 24.0 s\n"
        "record         .seatrial/3lfz\n"
        "NOT PROVEN     tier_a/serves, tier_a/echoes, tier_a/fails: see above"
    )


def test_without_a_known_cause_nothing_is_claimed() -> None:
    text = told(
        check("tier_a/echoes", "fail", 1, line="another answer came back", hint="The forwarder's log says why.")
    )
    assert text.split("\n", 1)[1] == (
        "\n"
        "FAIL      tier_a/echoes  1 s\n"
        "  because   another answer came back\n"
        "  do        The forwarder's log says why; then: pytest --lf\n"
        "\n"
        "time           tier_a 1.0 s\n"
        "record         .seatrial/3lfz\n"
        "NOT PROVEN     tier_a/echoes: see above"
    )


def test_one_error_of_many_checks_is_told_once() -> None:
    given = {"reason": "permission", "line": "the token has expired", "source": "AUTH_TOKEN", "do": "get a new one"}
    text = told(check("a/one", "error", **given), check("a/two", "error", **given))
    assert text.split("\n", 2)[2] == (
        "\n"
        "ERROR (permission)  a/one, a/two\n"
        "  because   the token has expired\n"
        "  source    AUTH_TOKEN\n"
        "  do        get a new one\n"
        "\n"
        "time           a 0.0 s\n"
        "record         .seatrial/3lfz\n"
        "NOT PROVEN     a/one, a/two: see above"
    )


def test_the_rest() -> None:
    text = told(
        check("a/one", "pass", warnings=["the gateway takes any token"], notes=["serving: its pod is ready"]),
        check("b/two", "not applicable", line="no node shows any sign of a GPU"),
        left=[
            {"kind": "endpoint", "name": "seatrial-echo-sync-3lfz", "why": "still there", "type": "kubectl delete x"}
        ],
        lost_workers=["gw1"],
    )
    assert text.split("\n", 2)[2] == (
        "WARNING  a/one: the gateway takes any token\n"
        "NOTE     a/one: serving: its pod is ready\n"
        "\n"
        "LEFT BEHIND    endpoint seatrial-echo-sync-3lfz: still there\n"
        "  type      kubectl delete x\n"
        "WORKER DIED    gw1: its checks are errors\n"
        "\n"
        "time           a 0.0 s, b 0.0 s\n"
        "record         .seatrial/3lfz\n"
        "NOT PROVEN     b/two: no node shows any sign of a GPU"
    )


def test_many_checks_are_listed_by_phase_and_none_is_cut_off() -> None:
    fact = "no node shows any sign of a GPU"
    names = [f"tier_b/a_check_with_a_long_name_{number}" for number in range(12)] + ["infra/another"]
    many = [check(name, "not applicable", line=fact) for name in names]
    blocked = [check(f"tier_a/another_long_name_{one}", "blocked", cause=CAUSE["key"]) for one in range(9)]
    text = told(check("tier_a/serves", "fail", cause=CAUSE["key"]), *many, *blocked, causes={CAUSE["key"]: CAUSE})
    assert max(len(line) for line in text.splitlines()[23:]) <= 120
    assert "BLOCKED   9 checks by it:\n          tier_a (9): another_long_name_0, another_long_name_1," in text
    not_proven = text[text.index("NOT PROVEN     no node") :]
    assert not_proven.startswith(f"NOT PROVEN     {fact}:\n          tier_b (12): a_check_with_a_long_name_0, ")
    assert "          infra (1): another\n" in not_proven
    assert all(name.partition("/")[2] in not_proven for name in names)


@pytest.mark.parametrize(
    ("look", "gone"),
    [
        ("kubectl -n models describe pod -l endpoint_name=seatrial-echo-sync-3lfz", "seatrial-echo-sync-3lfz"),
        ("kubectl -n models describe pod seatrial-probe-database-3lfz", "pods models/seatrial-probe-database-3lfz"),
    ],
)
def test_what_clean_up_has_removed_cannot_be_looked_at(look: str, gone: str) -> None:
    cause = CAUSE | {"look": look}
    text = told(check("a/b", "fail", cause=CAUSE["key"]), causes={CAUSE["key"]: cause}, gone=[gone])
    assert f"{look}\n            (clean-up has removed it since; to look, repeat it: pytest --lf --keep)\n" in text


def test_a_run_that_was_interrupted_says_that_nothing_is_left() -> None:
    said = "nothing of run 3lfz is left\n"
    assert said in told(check("a/one", "pass"), exit=2)
    assert said not in told(check("a/one", "pass"), exit=0)
    thing = {"kind": "endpoint", "name": "e", "why": "still there"}
    assert said not in told(check("a/one", "pass"), exit=2, left=[thing])
    assert said not in told(check("a/one", "pass"), exit=2, kept=[thing])


def test_what_was_kept_and_what_is_ending() -> None:
    text = told(
        check("a/one", "pass"),
        kept=[{"kind": "endpoint", "name": "seatrial-echo-sync-3lfz"}],
        terminating=["pods models/x is terminating, until 12:00:00 UTC at the latest"],
        sweep="python -m seatrial sweep --run 3lfz --delete",
    )
    assert (
        "KEPT           endpoint seatrial-echo-sync-3lfz\n"
        "ENDING         pods models/x is terminating, until 12:00:00 UTC at the latest\n"
        "  sweep     python -m seatrial sweep --run 3lfz --delete\n"
    ) in text
