"""Whose GPUs a run expects, whether operators are done, what endpoints ask of a node: pure functions, rows of data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seatrial.expectations import Expected, Gpus, Scope
from seatrial.gpu.declared import Expectation, expected
from seatrial.gpu.health import Sight
from seatrial.gpu.operators import covers, reconciled
from seatrial.gpu.vendors import TABLE, vendors
from seatrial.model_engine.configuration import Configuration
from seatrial.model_engine.gpu import LABEL, RESOURCE, TOLERATION, TYPES, Workers
from seatrial.settings import Settings
from seatrial.verdict import BadSettings, NotApplicable, Unhealthy

Object = dict[str, Any]
NVIDIA, AMD = TABLE["nvidia"], TABLE["amd"]


def node(name: str, labels: dict[str, str]) -> Object:
    return {"metadata": {"name": name, "labels": labels}, "status": {}}


GREEN = node("a", {"nvidia.com/gpu.present": "true"})
RED = node("b", {"amd.com/gpu.product-name": "AMD_Instinct_MI300X"})
PLAIN = node("c", {"pool": "cpu"})


@pytest.mark.parametrize(
    ("gpu", "markers", "nodes", "found"),
    [
        (None, (), [GREEN, PLAIN], [("nvidia", None)]),
        (None, (), [GREEN, RED], [("nvidia", None), ("amd", None)]),
        (None, ("amd",), [GREEN, RED], [("amd", None)]),
        (None, ("tier_b",), [RED], [("amd", None)]),
        (Gpus("nvidia", 8), (), [GREEN, RED], [("nvidia", 8), ("amd", None)]),
        (Gpus("nvidia", 8), ("nvidia",), [GREEN, RED], [("nvidia", 8)]),
        (Gpus("nvidia", 0), (), [PLAIN], [("nvidia", 0)]),
        (Gpus("nvidia", 0), ("tier_b",), [PLAIN], [("nvidia", 0)]),
    ],
)
def test_what_is_expected(
    gpu: Gpus | None, markers: tuple[str, ...], nodes: list[Object], found: list[tuple[str, int | None]]
) -> None:
    scope = Scope(Expected(gpu=gpu), frozenset(markers))
    every = expected(scope, Sight(nodes, []), TABLE)
    assert [(one.vendor.key, one.at_least) for one in every] == found


@pytest.mark.parametrize(
    ("gpu", "markers", "nodes", "error", "said"),
    [
        (None, (), [PLAIN], NotApplicable, "no node shows any sign of a GPU"),
        (Gpus(), (), [GREEN], NotApplicable, "expect.gpu is none"),
        (Gpus(), ("nvidia",), [GREEN], BadSettings, "-m declares nvidia, and expect.gpu is none"),
        (None, ("nvidia",), [RED], Unhealthy, "declared NVIDIA, found AMD: no node shows any sign of a GPU of NVIDIA"),
        (Gpus("amd", 1), (), [GREEN], Unhealthy, "declared AMD, found NVIDIA: no node shows"),
        (None, ("tier_b",), [PLAIN], Unhealthy, "-m tier_b declares GPUs, and no node shows any sign of a GPU"),
    ],
)
def test_what_cannot_be(
    gpu: Gpus | None, markers: tuple[str, ...], nodes: list[Object], error: type[BaseException], said: str
) -> None:
    with pytest.raises(error) as caught:
        expected(Scope(Expected(gpu=gpu), frozenset(markers)), Sight(nodes, []), TABLE)
    assert said in str(caught.value)


def test_a_vendor_whose_row_was_taken_away_is_not_declared() -> None:
    with pytest.raises(BadSettings, match="nvidia is declared, and gpu_vendors has taken its row away"):
        expected(Scope(Expected(), frozenset({"nvidia"})), Sight([GREEN], []), vendors("{nvidia: null}", Path()))


def policy(reason: str, status: str = "True", state: str = "ready") -> Object:
    error = {"type": "Error", "status": "True", "reason": "OperandNotReady", "message": "states not ready: [x]"}
    conditions = [{"type": "Ready", "status": status, "reason": reason, "message": "as told"}]
    conditions += [error] if status != "True" else []
    return {"metadata": {"name": "cluster-policy"}, "status": {"state": state, "conditions": conditions}}


def config(wanted: int, there: int, reason: str = "OperatorReady") -> Object:
    conditions = [{"type": "Ready", "status": "True", "reason": reason}]
    plugin = {"nodesMatchingSelectorNumber": wanted, "desiredNumber": wanted, "availableNumber": there}
    return {"metadata": {"name": "default"}, "status": {"conditions": conditions, "devicePlugin": plugin}}


@pytest.mark.parametrize(
    ("vendor", "object_", "line"),
    [
        (NVIDIA, policy("Reconciled"), ""),
        (NVIDIA, policy("NFDLabelsMissing"), "calls itself ready for a wrong reason: NFDLabelsMissing"),
        (NVIDIA, policy("NoGPUNodes"), "calls itself ready for a wrong reason: NoGPUNodes"),
        (NVIDIA, policy("Error", "False", "notReady"), "is not ready (Ready=False, reason Error, state notReady)"),
        (NVIDIA, policy("Reconciled", state="ignored"), "is not ready (Ready=True, reason Reconciled, state ignored)"),
        (NVIDIA, {"metadata": {"name": "x"}}, "is not ready (Ready=nothing, reason none, state None)"),
        (AMD, config(2, 2), ""),
        (AMD, config(2, 1), "has its devicePlugin on 1 of 2 nodes"),
        (AMD, config(0, 0), "has its devicePlugin on 0 of 2 nodes"),
        (AMD, config(2, 2, "Other"), "calls itself ready for a wrong reason: Other"),
    ],
)
def test_an_operator_is_done(vendor: Any, object_: Object, line: str) -> None:
    cause = reconciled(vendor.operators[0], object_, 2)
    assert (line in cause.line) if cause and line else (cause is None and not line)
    assert not cause or cause.evidence


@pytest.mark.parametrize(
    ("desired", "ready", "line"),
    [
        (2, 2, ""),
        (3, 3, ""),
        (0, 0, "is wanted on 0 of 2 GPU nodes"),
        (1, 1, "is wanted on 1 of 2 GPU nodes"),
        (2, 1, "is ready on 1 of 2 nodes"),
    ],
)
def test_a_plug_in_covers_the_nodes(desired: int, ready: int, line: str) -> None:
    status = {"desiredNumberScheduled": desired, "numberReady": ready}
    cause = covers({"metadata": {"name": "plugin", "namespace": "gpu-operator"}, "status": status}, 2)
    assert (line in cause.line) if cause and line else (cause is None and not line)


def settings(tmp_path: Path, *pairs: str) -> Settings:
    return Settings.load({"set": list(pairs)}, {}, tmp_path)


def test_what_endpoints_ask_of_a_node_before_an_install(tmp_path: Path) -> None:
    more = {"key": "sku", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"}
    values = {"nodeSelector": {"pool": "gpu"}, "gpuTolerations": [more]}
    workers = Workers.of(None, None, Configuration.of_values(values, "values.yaml"))
    want = workers.want(Expectation(NVIDIA, 4), settings(tmp_path), count=1)
    assert (want.kind, want.labels) == (LABEL, {LABEL: TYPES, "pool": ("gpu",)})
    assert want.tolerations == (TOLERATION, more)
    assert (want.count, want.at_least, workers.resource) == (1, 4, RESOURCE)


def test_what_endpoints_ask_of_a_node_by_the_releases_template(tmp_path: Path) -> None:
    limits = {"amd.com/gpu": "gpus", "cpu": "cpus"}
    spec = {
        "nodeSelector": {"gpu.example/type": "gpu_type", "pool": "x"},
        "containers": [{"resources": {"limits": limits}}],
    }
    workers = Workers._of_template(spec, "here")
    assert (workers.label, workers.resource, workers.selector) == ("gpu.example/type", "amd.com/gpu", {"pool": "x"})
    want = workers.want(Expectation(AMD), settings(tmp_path))
    assert want.labels == {"gpu.example/type": (), "pool": ("x",)}, "the released product has no type of AMD"
    given = workers.want(Expectation(AMD), settings(tmp_path, "gpu_type=amd-instinct-mi300x"))
    assert given.labels["gpu.example/type"] == ("amd-instinct-mi300x",)


@pytest.mark.parametrize(
    ("types", "pairs", "chosen", "said"),
    [
        (("nvidia-ampere-a10",), (), "nvidia-ampere-a10", ""),
        (
            ("nvidia-ampere-a10", "nvidia-hopper-h100"),
            (),
            "",
            "several GPU types (nvidia-ampere-a10 on 1, ",
        ),
        (("nvidia-ampere-a10", "x"), ("gpu_type=x",), "x", ""),
        ((), (), "", f"no node has the label {LABEL}"),
    ],
)
def test_which_type_is_meant(
    tmp_path: Path, types: tuple[str, ...], pairs: tuple[str, ...], chosen: str, said: str
) -> None:
    sight = Sight([{"metadata": {"name": one, "labels": {LABEL: one}}} for one in types], [])
    workers, given = Workers("here"), settings(tmp_path, *pairs)
    if chosen:
        assert workers.chosen(sight, given) == chosen
        assert workers.unlisted(sight, given, "kubectl") is None
        return
    with pytest.raises(BadSettings) as caught:
        workers.chosen(sight, given)
    assert said in caught.value.line


def test_a_type_that_no_node_has(tmp_path: Path) -> None:
    sight = Sight([{"metadata": {"name": "a", "labels": {LABEL: "nvidia-ampere-a10"}}}], [])
    cause = Workers("here").unlisted(sight, settings(tmp_path, "gpu_type=nvidia-hopper-h100"), "kubectl")
    assert cause
    assert cause.line == f"no node has {LABEL}=nvidia-hopper-h100; there are nvidia-ampere-a10"
