"""Runs on sandboxes with GPUs: what may not be looked at, what is asked for, a pool that scales from zero."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from rows.gpu import GPUS, ON_NODES
from runner_account import runner
from sandboxes import Sandbox, at_once, judged, sandbox

from sandbox import handle
from sandbox.__main__ import all_faults

NODES = tuple(f"preflight/{name}" for name in ON_NODES)
DRIVER = "preflight/gpu_driver_works"
MISSING = 'the rule {apiGroups: [""], resources: ["nodes"], verbs: ["list"]} is missing'


@pytest.fixture(scope="module")
def nvidia() -> Iterator[Sandbox]:
    """A release on a cluster with GPUs."""
    with sandbox("nvidia") as one:
        yield one


def test_a_look_that_was_refused_is_no_absence(released: Sandbox, tmp_path: Path) -> None:
    """Who says that there are no GPUs needs no right to look for them."""
    with runner(released, tmp_path / "kubeconfig", without="nodes") as environment:
        refused, absent, declared = at_once(
            partial(judged, tmp_path / "refused", *GPUS, **environment),
            partial(judged, tmp_path / "absent", "-m", "nvidia", "-k", "labelled", **released.environment()),
            partial(judged, tmp_path / "declared", "-k", "gpu", "--set", "expect={gpu: none}", **environment),
        )
    assert refused.verdicts == dict.fromkeys(NODES, "error (permission)"), refused.out
    assert MISSING in refused.out
    assert refused.code == 3
    assert absent.code == 1
    lines = absent.out.splitlines()
    assert lines[next(number for number, line in enumerate(lines) if line.startswith("collected")) + 1] == (
        "declared NVIDIA: no node shows any sign of a GPU of NVIDIA: no nvidia.com/gpu, none of 13 labels"
    )
    assert set(declared.verdicts.values()) == {"not applicable"}, declared.out
    assert "expect.gpu is none: nothing about GPUs is judged" in declared.out
    assert not [one for one in declared.events if one["kind"] == "kube" and "nodes" in one["object"]]


@pytest.mark.prove
@pytest.mark.xdist_group("nvidia")
def test_every_node_is_asked_with_an_image_of_ones_own(nvidia: Sandbox, tmp_path: Path) -> None:
    """With exactly the rights that are written down."""
    image = "registry.local/nvidia/cuda:12.8.1-base-ubuntu22.04"
    with runner(nvidia, tmp_path / "kubeconfig") as environment:
        every, wrong = at_once(
            partial(judged, tmp_path / "every", *GPUS, "--every-gpu-node", GPU_PROBE_IMAGE=image, **environment),
            partial(judged, tmp_path / "wrong", "-k", "driver", GPU_PROBE_IMAGE="registry.local/no:1", **environment),
        )
    assert every.code == 0, every.out
    assert every.verdicts == dict.fromkeys(NODES, "pass")
    for node in ("gpu-1", "gpu-2"):
        assert f"{node}: 1 x NVIDIA A10 (23028 MiB), driver" in every.out
    assert not [one for one in every.events if one["kind"] == "kube" and one["status"] == 403]
    assert wrong.verdicts == {DRIVER: "error (tool)"}, wrong.out
    assert "the image registry.local/no:1 cannot be pulled; it is the one that asks the driver" in wrong.out
    for run in (every, wrong):
        assert nvidia.ours(run.run["run"]) == []


@pytest.mark.prove
@pytest.mark.xdist_group("nvidia")
def test_a_pool_that_scales_from_zero(nvidia: Sandbox, tmp_path: Path) -> None:
    """The pod that asks the driver triggers the scale-up, and waits for the node; without an autoscaler it is told."""
    pool, one = all_faults()["gpu-pool-from-zero"], handle.load(nvidia.up["name"])
    given = ("--set", "expect={gpu: nvidia>=0}", *GPUS)
    asyncio.run(pool.break_(one))
    try:
        nobody = judged(tmp_path / "nobody", *given, **nvidia.environment())
        comes = partial(judged, during=lambda run: (run.await_text("probe gpu-0"), asyncio.run(pool.heal(one))))
        scaled = comes(tmp_path / "run", *given, timeout=200, **nvidia.environment())
    finally:
        asyncio.run(pool.heal(one))
    rest = dict.fromkeys(set(NODES) - {DRIVER}, "not applicable")
    assert nobody.verdicts == {**rest, DRIVER: "fail"}, nobody.out
    assert "no node shows any sign of a GPU of NVIDIA" in nobody.out
    assert scaled.verdicts == {**rest, DRIVER: "pass"}, scaled.out
    assert "1 x NVIDIA A10 (23028 MiB), driver 570.133.20, CUDA 12.8" in scaled.out
    assert nvidia.ours(scaled.run["run"]) == []


@pytest.mark.prove
def test_before_an_install(tmp_path: Path) -> None:
    """By the values: the label and the tolerations are the chart's, the namespace's own account asks."""
    with sandbox("nvidia", "empty") as one:
        run = judged(tmp_path, *GPUS, f"--values={one.up['values']}", **one.environment())
    assert run.code == 0, run.out
    assert run.verdicts == dict.fromkeys(NODES, "pass")
    assert "the chart's template selects by k8s.amazonaws.com/accelerator" in run.out
