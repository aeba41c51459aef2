"""GPU nodes of a sandbox as anybody sees them: nodes, operators, pods that ask for GPUs, and the faults."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sandboxes import Sandbox, sandbox

from sandbox import handle
from sandbox.__main__ import all_faults
from sandbox.faults import FaultError
from sandbox.gpu.table import PRODUCT_LABEL

pytestmark = pytest.mark.prove  # test_faults.py has runs that go by these nodes, and by some of their faults

Object = dict[str, Any]

QUERY = "--query-gpu=index,name,uuid,driver_version,memory.total,ecc.errors.uncorrected.volatile.total,mig.mode.current"
HOST = "kubernetes.io/hostname"
WORDS = {"nvidia": ("nvidia", "empty"), "amd": ("amd", "azure", "empty")}
OPERATORS = {
    "nvidia": "/apis/nvidia.com/v1/clusterpolicies/cluster-policy",
    "amd": "/apis/amd.com/v1alpha1/namespaces/kube-amd-gpu/deviceconfigs/default",
}
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 65534,
    "seccompProfile": {"type": "RuntimeDefault"},
}
VENDORS = ("nvidia", "amd")


class Cluster:
    """A sandbox with nothing but its nodes, and what a test asks of it."""

    def __init__(self, one: Sandbox, vendor: str) -> None:
        self.one, self.vendor = one, vendor
        self.resource = f"{vendor}.com/gpu"
        self.api = one.kube()
        self.namespace = "default"
        self.tolerations = [{"key": taint["key"], "operator": "Exists"} for taint in self.nodes()[0]["spec"]["taints"]]

    def get(self, path: str) -> Any:
        return self.api.get(path).raise_for_status().json()

    def nodes(self) -> list[Object]:
        listed = self.get("/api/v1/nodes")["items"]
        return [node for node in listed if node["metadata"]["name"].startswith("gpu-")]

    def status(self) -> Object:
        return dict(self.get(OPERATORS[self.vendor])["status"])

    def counts(self) -> tuple[str | None, str | None]:
        """Capacity and allocatable of the GPUs, alike on every node."""
        (found,) = {
            tuple(node["status"][field].get(self.resource) for field in ("capacity", "allocatable"))
            for node in self.nodes()
        }
        return found

    def image(self) -> str:
        return str(self.one.up["vllm_image"])

    @contextmanager
    def pod(self, name: str, *command: str, gpus: int = 1, **spec: Any) -> Iterator[Callable[[], Object]]:
        """A pod as one looks at GPUs with; what its object says now."""
        limits = {"resources": {"limits": {self.resource: str(gpus)}}} if gpus else {}
        container = {"name": "check", "image": self.image(), "command": list(command), "securityContext": RESTRICTED}
        body = {
            "metadata": {"name": name},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "terminationGracePeriodSeconds": 0,
                "tolerations": self.tolerations,
                "containers": [container | limits],
                **spec,
            },
        }
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        self.api.post(path, json=body).raise_for_status()
        try:
            yield lambda: dict(self.get(f"{path}/{name}"))
        finally:
            self.api.request("DELETE", f"{path}/{name}", json={"gracePeriodSeconds": 0})
            until(lambda: self.api.get(f"{path}/{name}").status_code == 404)

    def said(self, name: str) -> str:
        return self.api.get(f"/api/v1/namespaces/{self.namespace}/pods/{name}/log").raise_for_status().text

    @contextmanager
    def broken(self, fault: str) -> Iterator[None]:
        module, one = all_faults()[fault], handle.load(self.one.up["name"])
        asyncio.run(module.break_(one))
        try:
            yield
        finally:
            asyncio.run(module.heal(one))


def until(holds: Callable[[], Any], seconds: float = 60) -> Any:
    """The first true result."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, f"not after {seconds} s"
        time.sleep(0.05)
    return found


def ended(pod: Callable[[], Object]) -> tuple[str, int]:
    """Phase and exit code of a pod, once it has ended."""
    found = until(lambda: (now := pod())["status"].get("phase") in ("Succeeded", "Failed") and now)
    state = found["status"]["containerStatuses"][0]["state"]
    return found["status"]["phase"], state["terminated"]["exitCode"]


def unscheduled(pod: Callable[[], Object]) -> str:
    """What the scheduler says at a pod that no node takes."""

    def refused() -> str:
        conditions = {one["type"]: one for one in pod()["status"].get("conditions", [])}
        return str(conditions.get("PodScheduled", {}).get("message", ""))

    return str(until(refused))


@pytest.fixture(scope="module")
def clusters() -> Iterator[Callable[[str], Cluster]]:
    with ExitStack() as stack:

        def start(vendor: str) -> Cluster:
            cluster = Cluster(stack.enter_context(sandbox(*WORDS[vendor])), vendor)
            stack.callback(cluster.api.close)
            return cluster

        yield cache(start)


@pytest.fixture
def cluster(clusters: Callable[[str], Cluster], request: pytest.FixtureRequest) -> Cluster:
    return clusters(getattr(request, "param", "nvidia"))


both = pytest.mark.parametrize("cluster", VENDORS, indirect=True)


@both
def test_nodes_and_operator_are_as_the_sources_leave_them(cluster: Cluster) -> None:
    assert cluster.counts() == ("2", "2")
    for node in cluster.nodes():
        assert all(node["status"]["nodeInfo"].values())
        assert {one["type"]: one["status"] for one in node["status"]["conditions"]}["Ready"] == "True"
    (ready,) = [one for one in cluster.status()["conditions"] if one["type"] == "Ready"]
    assert (ready["status"], ready["reason"]) == (
        "True",
        {"nvidia": "Reconciled", "amd": "OperatorReady"}[cluster.vendor],
    )


def test_the_official_client_and_kubectl_read_them(cluster: Cluster) -> None:
    from kubernetes import client, config

    core = client.CoreV1Api(config.new_client_from_config(cluster.one.up["kubeconfig"]))
    labels = {node.metadata.name: node.metadata.labels for node in core.list_node().items}
    assert [PRODUCT_LABEL in labels[name] for name in ("gpu-1", "gpu-2", "sandbox-node")] == [True, True, False]
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on PATH")
    environment = os.environ | {"KUBECONFIG": cluster.one.up["kubeconfig"]}

    def kubectl(*arguments: str) -> list[str]:
        command = ["kubectl", "get", *arguments, "--no-headers"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=True)
        return [re.sub(r"\s+", " ", line) for line in done.stdout.splitlines()]

    assert [line.split()[:2] for line in kubectl("nodes", "-L", PRODUCT_LABEL)][:2] == [
        ["gpu-1", "Ready"],
        ["gpu-2", "Ready"],
    ]
    assert kubectl("clusterpolicies.nvidia.com")[0].startswith("cluster-policy ready ")
    sets = {line.split()[0]: line.split()[1:4] for line in kubectl("daemonsets", "-n", "gpu-operator")}
    assert sets["nvidia-device-plugin-daemonset"] == ["2", "2", "2"]
    assert sets["nvidia-mig-manager"] == ["0", "0", "0"]


def test_a_pod_finds_the_gpus_that_it_asked_for(cluster: Cluster) -> None:
    with (
        cluster.pod("two", "sh", "-c", "nvidia-smi -L && sleep infinity", gpus=2) as two,
        cluster.pod("one", "nvidia-smi", QUERY, "--format=csv,noheader,nounits") as one,
    ):
        assert ended(one) == ("Succeeded", 0)
        assert re.fullmatch(r"0, NVIDIA A10, GPU-\S+, 570\.133\.20, 23028, 0, \[N/A\]\n", cluster.said("one"))
        found = until(lambda: cluster.said("two") if two()["status"]["phase"] == "Running" else "")
        assert re.fullmatch(r"(GPU \d: NVIDIA A10 \(UUID: GPU-\S+\)\n){2}", found)
        assert two()["spec"]["nodeName"] != one()["spec"]["nodeName"]
    with cluster.pod("without", "nvidia-smi", "-L", gpus=0) as without:
        assert ended(without) == ("Failed", 128)
        message = without()["status"]["containerStatuses"][0]["state"]["terminated"]["message"]
        assert 'exec: "nvidia-smi": executable file not found in $PATH' in message


def test_the_gpus_of_a_pod_that_is_gone_are_free_at_once(cluster: Cluster) -> None:
    with cluster.pod("first", "sleep", "infinity", gpus=2, nodeSelector={HOST: "gpu-1"}) as first:
        until(lambda: first()["status"]["phase"] == "Running")
    with cluster.pod("second", "true", gpus=2, nodeSelector={HOST: "gpu-1"}) as second:
        assert ended(second) == ("Succeeded", 0)


def test_gpus_that_there_are_not_are_not_given(cluster: Cluster) -> None:
    preemption = "no new claims to deallocate, preemption: 0/3 nodes are available"
    with cluster.pod("greedy", "true", gpus=3) as greedy:
        # One node has no GPU, two have too few.
        assert unscheduled(greedy).startswith(f"0/3 nodes are available: 3 Insufficient nvidia.com/gpu. {preemption}")
    with cluster.pod("choosy", "true", nodeSelector={PRODUCT_LABEL: "nvidia-tesla-t4"}) as choosy:
        text = "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. "
        assert unscheduled(choosy).startswith(text + preemption)
    with cluster.pod("shy", "true", tolerations=[]) as shy:
        text = "0/3 nodes are available: 1 Insufficient nvidia.com/gpu, 2 node(s) had untolerated taint(s). "
        assert unscheduled(shy).startswith(text + preemption)


@both
def test_a_driver_that_is_gone_shows_in_the_operands_and_in_the_tools(cluster: Cluster) -> None:
    commands = {
        "nvidia": ("nvidia-smi", "-L"),
        "amd": ("sh", "-c", "amd-smi list --json || rocm-smi --showproductname --json"),
    }
    with cluster.broken("gpu-driver-missing"):
        assert cluster.counts() == ("2", "2")
        with cluster.pod("look", *commands[cluster.vendor]) as look:
            assert ended(look) == {"nvidia": ("Failed", 9), "amd": ("Succeeded", 0)}[cluster.vendor]
            said = {"nvidia": "couldn't communicate with the NVIDIA driver", "amd": "ERROR: Driver not initialized"}
            assert said[cluster.vendor] in cluster.said("look")
        conditions = {one["type"]: one for one in cluster.status()["conditions"]}
        if cluster.vendor == "nvidia":
            assert (cluster.status()["state"], conditions["Error"]["reason"]) == ("notReady", "OperandNotReady")
        else:  # whose controller does not look
            assert conditions["Ready"]["status"] == "True"
            assert cluster.status()["metricsExporter"]["availableNumber"] == 0
    assert cluster.counts() == ("2", "2")


@both
def test_what_a_kubelet_does_with_pods_that_no_scheduler_sent(cluster: Cluster) -> None:
    with cluster.broken("gpus-not-allocatable"):
        assert cluster.counts() == ("2", "0")
        with cluster.pod("pinned", "true", nodeName="gpu-1") as pinned:
            status = until(lambda: (now := pinned()["status"]).get("phase") == "Failed" and now)
            assert status["reason"] == "UnexpectedAdmissionError"
            text = "no healthy devices present; cannot allocate unhealthy devices"
            assert f"{text} {cluster.resource}, which is unexpected" in status["message"]
    with cluster.pod("greedy", "true", gpus=3, nodeName="gpu-1") as greedy:
        status = until(lambda: (now := greedy()["status"]).get("phase") == "Failed" and now)
        assert "Requested: 3, Available: 2" in status["message"]


NODE = {
    "gpu-driver-gone-at-boot": ("0", "0"),
    "gpu-plugin-unregistered": (None, None),
    "gpu-label-missing": ("2", "0"),
    "gpu-label-wrong": ("2", "2"),
    "gpu-template-label-missing": ("2", "2"),
    "gpu-node-tainted": ("2", "2"),
    "gpu-node-cordoned": ("2", "2"),
    "gpu-node-not-ready": ("2", "2"),
    "gpus-in-use": ("2", "2"),
}
"""By fault what every node says of its GPUs."""
REFUSALS = {
    "gpu-driver-gone-at-boot": "3 Insufficient {}.",
    "gpu-plugin-unregistered": "3 Insufficient {}.",
    "gpu-label-missing": "3 Insufficient {}.",
    "gpu-node-tainted": "1 Insufficient {}, 2 node(s) had untolerated taint(s).",
    "gpu-node-cordoned": "1 Insufficient {}, 2 node(s) were unschedulable.",
    "gpu-node-not-ready": "1 Insufficient {}, 2 node(s) had untolerated taint(s).",
    "gpus-in-use": "3 Insufficient {}.",
}
"""By fault what the scheduler says to a pod that asks for a GPU; those of labels take it."""


@pytest.mark.parametrize("fault", NODE)
@pytest.mark.parametrize("cluster", ["nvidia", "amd"], indirect=True)
def test_a_fault_and_its_end(cluster: Cluster, fault: str) -> None:
    before = [(node["metadata"]["labels"], node["spec"]) for node in cluster.nodes()]
    with cluster.broken(fault):
        assert cluster.counts() == NODE[fault]
        with cluster.pod("look", "true") as look:
            if fault in REFUSALS:
                assert f"0/3 nodes are available: {REFUSALS[fault].format(cluster.resource)}" in unscheduled(look)
            else:
                assert ended(look) == ("Succeeded", 0)
        if fault == "gpu-plugin-unregistered":
            with cluster.pod("pinned", "sh", "-c", "env", nodeName="gpu-1") as pinned:
                assert ended(pinned) == ("Succeeded", 0)  # a resource that the kubelet does not know is left out
                assert "SANDBOX_DEVICES" not in cluster.said("pinned")
    until(lambda: [(node["metadata"]["labels"], node["spec"]) for node in cluster.nodes()] == before)
    assert cluster.counts() == ("2", "2")


@pytest.mark.parametrize("cluster", ["nvidia", "amd"], indirect=True)
def test_a_pool_brings_nodes_when_a_pod_waits(cluster: Cluster) -> None:
    pool, one = all_faults()["gpu-pool-from-zero"], handle.load(cluster.one.up["name"])
    asyncio.run(pool.break_(one))
    assert cluster.nodes() == []
    with cluster.pod("look", "true", tolerations=[{"operator": "Exists"}]) as look:
        assert unscheduled(look).startswith(f"0/1 nodes are available: 1 Insufficient {cluster.resource}.")
        asyncio.run(pool.heal(one))
        assert ended(look) == ("Succeeded", 0)
        events = cluster.get(f"/api/v1/namespaces/{cluster.namespace}/events")["items"]
    told = [json.dumps(event) for event in events if event["reason"] == "TriggeredScaleUp"]
    assert any('"look"' in text and "gpu-pool 0->1" in text for text in told)


def test_faults_want_gpu_nodes(tmp_path: Path) -> None:
    (tmp_path / "sandbox.json").write_text(json.dumps({"directory": str(tmp_path)}))
    with pytest.raises(FaultError, match="no GPU nodes"):
        asyncio.run(all_faults()["gpu-driver-missing"].break_(handle.read(tmp_path)))
