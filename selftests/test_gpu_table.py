"""GPU nodes as data: by vendor and cloud what their sources set on them."""

from __future__ import annotations

import pytest

from sandbox import words
from sandbox.gpu import table
from sandbox.gpu.operators import manifests

CLOUDS = ("aws", "azure", "gcp", "onprem")
SIGNS = {
    "nvidia": ("feature.node.kubernetes.io/pci-10de.present", "nvidia.com/gpu.present", "nvidia.com/gpu.product"),
    "amd": ("amd.com/gpu.product-name", "amd.com/gpu.vram", "amd.com/gpu.device-id"),
}


@pytest.mark.parametrize("vendor", words.VENDORS)
@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_node_has_what_its_sources_set(vendor: str, cloud: str) -> None:
    first, second = table.nodes(vendor, cloud)
    assert (first.name, second.name) == table.NAMES
    assert {*SIGNS[vendor], table.PRODUCT_LABEL} <= first.labels.keys()
    (taint,) = first.taints
    assert taint["effect"] == "NoSchedule"
    devices = {gpu["device"] for node in (first, second) for gpu in node.machine["gpus"]}
    assert len(devices) == (
        4 if vendor == "nvidia" else 2
    )  # AMD's are places on a bus: alike on machines that are alike
    operands = [one for one in manifests.objects(vendor, cloud) if one["kind"] == "DaemonSet"]
    for one in operands:
        spec = one["spec"]["template"]["spec"]
        assert taint["key"] in {toleration["key"] for toleration in spec["tolerations"]}
        wanted = spec.get("nodeSelector", {}).items()
        assert wanted <= first.labels.items() or "mig-manager" in one["metadata"]["name"]
    images = manifests.images(vendor)
    ran = [one["spec"]["template"]["spec"]["containers"][0]["image"] for one in operands]
    assert {*ran} <= images.keys()


def test_a_virtual_machine_has_virtual_functions() -> None:
    labels = {cloud: table.nodes("amd", cloud)[0].labels for cloud in CLOUDS}
    whole, virtual = "feature.node.kubernetes.io/amd-gpu", "feature.node.kubernetes.io/amd-vgpu"
    assert {cloud: (whole in found, virtual in found) for cloud, found in labels.items()} == {
        "aws": (True, False),
        "azure": (False, True),
        "gcp": (True, False),
        "onprem": (True, False),
    }


def test_the_admin_tolerates_what_no_chart_knows() -> None:
    told = {cloud: table.tolerations(table.nodes("nvidia", cloud)) for cloud in CLOUDS}
    assert [cloud for cloud, tolerations in told.items() if tolerations] == ["azure"]
    assert told["azure"] == ({"key": "sku", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"},)


def test_without_a_vendor_there_is_no_gpu_node() -> None:
    assert table.nodes("", "aws") == []
    assert table.tolerations([]) == ()


@pytest.mark.parametrize(
    ("said", "cannot"),
    [
        (("nvidia",), ()),
        (("nvidia", "patched"), ()),
        (("amd",), ("amd",)),
        (("gcp", "amd"), ("gcp", "amd")),
        (("gcp", "amd", "patched"), ()),
    ],
)
def test_what_is_broken_is_said(said: tuple[str, ...], cannot: tuple[str, ...]) -> None:
    assert words.meaning(said).cannot == tuple(words.CANNOT[key] for key in cannot)
    with pytest.raises(ValueError, match="either nvidia or amd"):
        words.meaning(("nvidia", "amd"))
