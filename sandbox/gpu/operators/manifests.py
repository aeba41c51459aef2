"""An operator's objects, from its YAML file in this folder and what the cloud's nodes are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from sandbox.gpu.table import BIN, cloud_row, vendor_row

HERE = Path(__file__).parent
PROGRAMS = BIN / "operator"
DEPLOY = "nvidia.com/gpu.deploy."
# AMD's DaemonSets go where the DeviceConfig's selector says: to one of the two labels of Node Feature Discovery.
AMD_LABELS = ("feature.node.kubernetes.io/amd-gpu", "feature.node.kubernetes.io/amd-vgpu")
IDLE = ["idle"]  # the program of whatever need only run

Object = dict[str, Any]


def row(vendor: str) -> Object:
    """The file of a vendor's operator."""
    return dict(yaml.safe_load((HERE / f"{vendor}.yaml").read_text()))


def objects(vendor: str, cloud: str) -> list[Object]:
    """In install order: the namespace, the operator and what it is told, its operands."""
    operator, selector, tolerations = row(vendor), _selector(vendor, cloud), _tolerations(vendor, cloud)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": operator["namespace"]}}
    custom = operator["object"]
    if vendor == "amd":
        custom["spec"]["selector"] = selector
    return [
        namespace,
        _definition(operator["definition"]),
        custom,
        *_feature_discovery(operator, tolerations),
        *(_controller(operator, one) for one in operator["controllers"]),
        *(_operand(operator, one, selector, tolerations) for one in operator["operands"]),
    ]


def images(vendor: str) -> Object:
    """What the registry has for GPU nodes: the operators' images, and those to look at GPUs with."""
    operator = row(vendor)
    parts = [f"{operator['repository']}/node-feature-discovery:v0.17.3", _operand_image(operator)]
    parts += [f"{operator['repository']}/{one['image']}" for one in operator["controllers"]]
    folders = dict.fromkeys(parts, PROGRAMS)
    folders |= {name: BIN / one.get("path", "none") for name, one in vendor_row(vendor)["images"].items()}
    return {
        image: {"id": f"sha256:{number:064x}", "path": str(folder)}
        for number, (image, folder) in enumerate(folders.items(), 1)
    }


def _selector(vendor: str, cloud: str) -> dict[str, str]:
    if vendor == "nvidia":
        return {}
    labels = cloud_row(vendor, cloud)["labels"]
    return {name: labels[name] for name in AMD_LABELS if name in labels}


def _tolerations(vendor: str, cloud: str) -> list[Object]:
    """The operators' own, and what the admin adds where the nodes' taint is another."""
    keys = dict.fromkeys([vendor_row(vendor)["resource"], *(one["key"] for one in cloud_row(vendor, cloud)["taints"])])
    return [{"key": key, "operator": "Exists", "effect": "NoSchedule"} for key in keys]


def _definition(said: Object) -> Object:
    schema = {
        "type": "object",
        "properties": {
            part: {"type": "object", "x-kubernetes-preserve-unknown-fields": True} for part in ("spec", "status")
        },
    }
    columns = [{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]
    if said["kind"] == "ClusterPolicy":
        columns.insert(0, {"name": "Status", "type": "string", "jsonPath": ".status.state"})
    version = {
        "name": said["version"],
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": columns,
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{said['plural']}.{said['group']}"},
        "spec": {
            "group": said["group"],
            "scope": said["scope"],
            "names": {
                "plural": said["plural"],
                "singular": said["kind"].lower(),
                "kind": said["kind"],
                "listKind": f"{said['kind']}List",
            },
            "versions": [version],
        },
    }


def _feature_discovery(operator: Object, tolerations: list[Object]) -> list[Object]:
    words = {name: operator[name] for name in ("operator", "namespace", "repository")} | {"tolerations": tolerations}
    text = re.sub(r"\{\{ (\w+) \}\}", lambda match: str(words[match[1]]), (HERE / "nfd.yaml").read_text())
    return list(yaml.safe_load_all(text))


def _controller(operator: Object, one: Object) -> Object:
    container = {
        "name": one["container"],
        "image": f"{operator['repository']}/{one['image']}",
        "command": IDLE,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": one["name"], "namespace": operator["namespace"], "labels": one["labels"]},
        "spec": {"replicas": 1, "selector": {"matchLabels": one["labels"]}, "template": _template(one, [container])},
    }


def _operand(operator: Object, one: Object, selector: dict[str, str], tolerations: list[Object]) -> Object:
    image = _operand_image(operator)
    labels = one.get("labels") or {"app": one["name"]}
    containers = [{"name": one["container"], "image": image, "command": one.get("command", IDLE)}]
    inits = [{"name": name, "image": image, "command": command} for name, command in one["init"].items()]
    where = {"nodeSelector": {f"{DEPLOY}{one['deploy']}": "true"} if "deploy" in one else selector}
    template = _template({"labels": labels}, containers, initContainers=inits, tolerations=tolerations, **where)
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": one["name"], "namespace": operator["namespace"], "labels": labels},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def _template(one: Object, containers: list[Object], **spec: Any) -> Object:
    return {
        "metadata": {"labels": one["labels"]},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "containers": containers,
            **spec,
        },
    }


def _operand_image(operator: Object) -> str:
    return f"{operator['repository']}/operands:v1"
