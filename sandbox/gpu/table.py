"""What a GPU node is, by vendor and cloud, from the YAML files in this folder."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
BIN = HERE / "bin"
NAMES = ("gpu-1", "gpu-2")
PRODUCT_LABEL = "k8s.amazonaws.com/accelerator"  # of the product's templates, on every cloud; the admin sets it
CAPACITY = {"cpu": "96", "memory": "768Gi", "ephemeral-storage": "1000Gi", "pods": "110"}
MODEL = {"amd": ("AMD Instinct MI300X", "0x74a1")}  # of a whole device


# What Node Feature Discovery says of any node.
DISCOVERED = {
    "feature.node.kubernetes.io/system-os_release.ID": "ubuntu",
    "feature.node.kubernetes.io/system-os_release.VERSION_ID": "22.04",
    "feature.node.kubernetes.io/kernel-version.major": "6",
}


@dataclass(frozen=True)
class GpuNode:
    """What its kubelet registers, and `machine`: what its pods' programs find it to be."""

    name: str
    labels: Mapping[str, str]
    taints: tuple[Mapping[str, str], ...]
    conditions: Mapping[str, tuple[str, str, str]]  # of health agents: status, reason, message
    machine: Mapping[str, Any]


def vendor_row(vendor: str) -> dict[str, Any]:
    """The row of a vendor: ``nvidia`` or ``amd``."""
    return dict(yaml.safe_load((HERE / "vendors" / f"{vendor}.yaml").read_text()))


def cloud_row(vendor: str, cloud: str) -> dict[str, Any]:
    """What a cloud adds to it."""
    return dict(yaml.safe_load((HERE / "clouds.yaml").read_text())[cloud][vendor])


def nodes(vendor: str, cloud: str) -> list[GpuNode]:
    """The GPU nodes of a sandbox; none without a vendor."""
    if not vendor:
        return []
    row, here = vendor_row(vendor), cloud_row(vendor, cloud)
    labels = {
        "node.kubernetes.io/instance-type": row["instance_type"][cloud],
        **DISCOVERED,
        **row["labels"],
        **here.get("labels", {}),
        PRODUCT_LABEL: row["type"],
    }
    conditions = {kind: (said[0], said[1], said[2]) for kind, said in here.get("conditions", {}).items()}
    return [
        GpuNode(name, labels, tuple(here["taints"]), conditions, machine(name, vendor, row, here)) for name in NAMES
    ]


def tolerations(gpu_nodes: list[GpuNode]) -> tuple[dict[str, str], ...]:
    """What the admin lets workloads tolerate beside the taint by a vendor's resource, which everybody's charts know."""
    taints = [dict(taint) for taint in (gpu_nodes[0].taints if gpu_nodes else ()) if not taint["key"].endswith("/gpu")]
    return tuple({"operator": "Equal", **taint} for taint in taints)


def tools(vendor: str) -> str:
    """The folder of what images of this vendor's world have for looking at GPUs; NVIDIA's tools come from the node."""
    return str(BIN / ("amd" if vendor == "amd" else "none"))


def machine(name: str, vendor: str, row: dict[str, Any], here: dict[str, Any]) -> dict[str, Any]:
    """The hardware and the driver; what identifies a GPU follows from the machine's name."""
    gpus = []
    for index, bus in enumerate(row["gpus"]["buses"]):
        identity = uuid.uuid5(uuid.NAMESPACE_DNS, f"{index}.{name}.{vendor}")
        # A device plug-in's name for a GPU: NVIDIA's is the UUID, AMD's the place on the PCI bus.
        device = f"GPU-{identity}" if vendor == "nvidia" else bus
        gpus.append({"index": index, "device": device, "uuid": str(identity), "bus": bus, "healthy": True})
    series, model = here.get("model", MODEL.get(vendor, (row["gpus"]["name"], "")))
    return {
        "vendor": vendor,
        "resource": row["resource"],
        "name": row["gpus"]["name"],
        "series": series,
        "model": model,
        "memory": row["gpus"]["memory"],
        "driver": row["driver"]["version"],
        "runtime": row["driver"]["runtime"],
        "environment": row["environment"],
        "path": str(BIN / row["injected"]) if row["injected"] else "",
        "gpus": gpus,
    }
