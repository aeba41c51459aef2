"""The Node object: complete enough for the official client's typed list."""

from __future__ import annotations

import platform
import uuid
from collections.abc import Mapping, Sequence

from sandbox.client import Object

from .timestamps import now

VERSION = "v1.36.0"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

# The conditions a kubelet reports: what each says while all is well.
CONDITIONS = {
    "MemoryPressure": ("False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    "DiskPressure": ("False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    "Ready": ("True", "KubeletReady", "kubelet is posting ready status"),
}


def node(
    name: str,
    address: str,
    port: int,
    *,
    labels: Mapping[str, str],
    taints: Sequence[Mapping[str, str]],
    agents: Mapping[str, tuple[str, str, str]],
    capacity: Mapping[str, str],
    pod_network: str,
) -> Object:
    """A Node of this machine's kind. `port`: where its kubelet serves ``/containerLogs``; `agents`: `conditions`."""
    architecture = ARCHITECTURES.get(platform.machine(), platform.machine())
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": architecture,
                "beta.kubernetes.io/os": "linux",
                "beta.kubernetes.io/arch": architecture,
                "node.kubernetes.io/instance-type": "sandbox",
                **labels,
            },
        },
        "spec": {
            "podCIDR": pod_network,
            "podCIDRs": [pod_network],
            "providerID": f"sandbox://{name}",
            **({"taints": [dict(taint) for taint in taints]} if taints else {}),
        },
        "status": {
            "capacity": dict(capacity),
            "allocatable": dict(capacity),
            "conditions": conditions(now(), agents),
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            "nodeInfo": {
                "machineID": uuid.uuid5(uuid.NAMESPACE_DNS, name).hex,
                "systemUUID": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)),
                "bootID": str(uuid.uuid4()),
                "kernelVersion": platform.release(),
                "osImage": "seatrial sandbox",
                "containerRuntimeVersion": "processes://1",
                "kubeletVersion": VERSION,
                "kubeProxyVersion": VERSION,
                "operatingSystem": "linux",
                "architecture": architecture,
            },
        },
    }


def conditions(since: str, agents: Mapping[str, tuple[str, str, str]]) -> list[Object]:
    """All is well, as of now, and has been since `since`; what agents on the node say beside the kubelet, too."""
    return [
        {
            "type": kind,
            "status": status,
            "lastHeartbeatTime": now(),
            "lastTransitionTime": since,
            "reason": reason,
            "message": message,
        }
        for kind, (status, reason, message) in {**CONDITIONS, **agents}.items()
    ]
