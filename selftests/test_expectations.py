"""What a run declares must be there, and who else would take our pod for one of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from dummies import Suite

from seatrial.adoption import refuse_adopted
from seatrial.expectations import Expected, Gpus, Scope, expected
from seatrial.kube import Kube
from seatrial.resources import DEPLOYMENTS, SERVICES
from seatrial.selectors import matches
from seatrial.verdict import BadSettings, NotApplicable, Unhealthy

NOWHERE = Path()


def test_what_may_be_expected() -> None:
    found = expected("{cloud: aws, gpu: nvidia>=8, products: [model_engine], registries: registry.example/}", NOWHERE)
    assert found == Expected("aws", Gpus("nvidia", 8), ("model_engine",), ("registry.example",))
    assert str(found) == "cloud aws, gpu nvidia>=8, products model_engine, registries registry.example"
    assert expected(found.data(), NOWHERE) == found
    assert (expected({"gpu": "none"}, NOWHERE).no_gpus, expected({}, NOWHERE).no_gpus) == (True, False)
    assert (str(Expected()), str(expected({"gpu": "none"}, NOWHERE))) == ("-", "gpu none")


def test_a_cloud_that_is_declared_and_absent_fails() -> None:
    where = "ConfigMap models/x"
    Scope(Expected("aws"), frozenset({"aws"})).require_cloud("aws", "aws", where)
    with pytest.raises(NotApplicable, match="this is about azure, and the release is on aws"):
        Scope().require_cloud("azure", "aws", where)
    for ask in (lambda: Scope().require_cloud("azure", "azrue", where), lambda: Scope().require_clouds("azrue", where)):
        with pytest.raises(Unhealthy, match="the cloud 'azrue', which is none") as unknown:
            ask()
        assert unknown.value.cause.do == "correct it: did you mean azure?"
    for scope in (Scope(Expected("azure")), Scope(markers=frozenset({"azure"}))):
        with pytest.raises(AssertionError) as caught:
            scope.require_cloud("azure", "aws", where)
        assert str(caught.value) == "declared azure, found aws (ConfigMap models/x)"


def test_where_nothing_says_the_cloud_none_is_claimed() -> None:
    for wanted in ("aws", "azure"):
        with pytest.raises(NotApplicable, match=f"this is about {wanted}, and nothing says which cloud"):
            Scope().require_cloud(wanted, "aws", "")
        with pytest.raises(BadSettings, match=f"{wanted} is declared, and nothing says which cloud"):
            Scope(Expected(wanted)).require_clouds("aws", "")


def test_what_gpus_declare() -> None:
    assert [Scope(Expected(gpu=one)).declares("amd") for one in (Gpus("amd", 1), Gpus("amd"), Gpus(), None)] == [
        True,
        False,
        False,
        False,
    ]


CHECKS = """
    import pytest

    @pytest.mark.aws
    def test_in_aws(trial):
        '''A check of one cloud.'''
        trial.note("declared " + " ".join(sorted(trial.declared)) + "; " + str(trial.settings.expect))
        trial.scope.require_cloud("aws", "gcp", "ConfigMap x")

    def test_anywhere(trial):
        '''A check of all.'''
    """


@pytest.mark.parametrize(
    ("arguments", "declared", "verdict"),
    [
        (("-m", "aws"), "aws", "fail"),
        (("-n", "1", "-m", "tier_a and aws"), "aws tier_a", "fail"),
        (("-m", "aws or not aws"), "", "not applicable"),
        (("--set", "expect={cloud: aws}"), "", "fail"),
    ],
)
def test_what_a_marker_expression_declares(
    tmp_path: Path, arguments: tuple[str, ...], declared: str, verdict: str
) -> None:
    run = Suite(tmp_path).write(tier_a=CHECKS).pytest(*arguments)
    assert run.verdicts["tier_a/in_aws"] == verdict, run.out
    assert f"NOTE     tier_a/in_aws: declared {declared}; " in run.out


def test_a_repeated_run_inherits_the_declaration(tmp_path: Path) -> None:
    suite = Suite(tmp_path).write(tier_a=CHECKS)
    for arguments, note in (
        (("-m", "aws"), "declared aws; -"),
        (("--set", "expect={cloud: aws}"), "declared ; cloud aws"),
    ):
        assert suite.pytest(*arguments).code == 1
        again = suite.pytest("--lf")
        assert again.verdicts == {"tier_a/in_aws": "fail"}, again.out
        assert note in again.out


def test_labels_that_make_our_pod_somebody_elses_are_refused(kube: Kube) -> None:
    kube.create(
        SERVICES, {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 1}]}}, "models"
    )
    pod = {"metadata": {"labels": {"tier": "x"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 0, "selector": {"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, "template": pod}
    kube.create(DEPLOYMENTS, {"metadata": {"name": "batch"}, "spec": spec}, "models")
    refuse_adopted(kube, "models", {"app": "ours"}, source="overlays")
    for labels, taker in (({"app": "web"}, "services models/web"), ({"tier": "y"}, "deployments.apps models/batch")):
        with pytest.raises(BadSettings, match=taker) as caught:
            refuse_adopted(kube, "models", labels, source="overlays")
        assert caught.value.source == "overlays"


@pytest.mark.parametrize(
    ("term", "labels", "holds"),
    [
        ({"key": "a", "operator": "In", "values": ["1"]}, {"a": "1"}, True),
        ({"key": "a", "operator": "NotIn", "values": ["1"]}, {"a": "1"}, False),
        ({"key": "a", "operator": "Exists"}, {}, False),
        ({"key": "a", "operator": "DoesNotExist"}, {}, True),
    ],
)
def test_selectors(term: dict, labels: dict, holds: bool) -> None:
    assert matches({"matchExpressions": [term]}, labels) is holds
    assert matches({}, labels)
