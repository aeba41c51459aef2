"""What endpoints on GPUs ask of a node: by the release's own template, before an install by the chart's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from seatrial.gpu.declared import Expectation
from seatrial.gpu.health import Sight
from seatrial.gpu.node import DO, Code, Want
from seatrial.kube import Kube
from seatrial.model_engine import places
from seatrial.model_engine.configuration import Configuration, look
from seatrial.model_engine.discovery import Release
from seatrial.probe import Place
from seatrial.settings import Settings, how_to_give
from seatrial.verdict import BadSettings, Cause

TEMPLATES = ("deployment-runnable-image-streaming-gpu.yaml", "deployment-runnable-image-sync-gpu.yaml")
"""Keys of the service template that endpoints on GPUs are made from; LLM endpoints from the first."""
LABEL = "k8s.amazonaws.com/accelerator"
"""What the chart's templates select GPU nodes by, on every cloud."""
RESOURCE = "nvidia.com/gpu"
"""What they request, whoever's the GPUs are."""
TOLERATION: Mapping[str, Any] = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
_TYPE, _COUNT = "gpu_type", "gpus"
"""What stands for the builder's blanks in a filled template."""
TYPES = (
    *("nvidia-tesla-t4", "nvidia-ampere-a10", "nvidia-ampere-a100", "nvidia-ampere-a100e"),
    *("nvidia-hopper-h100", "nvidia-hopper-h100-1g20gb", "nvidia-hopper-h100-3g40gb"),
)
"""The values of ``gpu_type`` that the released gateway takes; any other is a 422."""


@dataclass(frozen=True)
class Workers:
    """Where the pods of endpoints on GPUs go. `label`: the key that selects a GPU type; `selector`: what else they
    select nodes by; `source`: where all that stands."""

    source: str
    label: str = LABEL
    resource: str = RESOURCE
    selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = (TOLERATION,)

    @classmethod
    def of(cls, kube: Kube | None, release: Release | None, configuration: Configuration) -> Workers:
        """By the release's template; without one by the values, as the chart would make it.

        AssertionError for a template that is no YAML: no endpoint on GPUs can be made from it.
        """
        for key in TEMPLATES if kube is not None and release is not None else ():
            assert kube is not None
            assert release is not None
            if template := places.service_template(kube, release, key):
                return cls._of_template(template["spec"], f"{key} of the release")
        selector = {str(k): str(v) for k, v in (look(configuration.values, "nodeSelector") or {}).items()}
        more = tuple(look(configuration.values, "gpuTolerations") or ())
        return cls("the chart's template", selector=selector, tolerations=(TOLERATION, *more))

    @classmethod
    def _of_template(cls, spec: Mapping[str, Any], source: str) -> Workers:
        selector = dict(spec.get("nodeSelector") or {})
        label = next((key for key, value in selector.items() if value == _TYPE), LABEL)
        selector.pop(label, None)
        limits = (((one.get("resources") or {}).get("limits") or {}).items() for one in spec["containers"])
        resource = next((name for every in limits for name, value in every if value == _COUNT), RESOURCE)
        return cls(source, label, resource, selector, tuple(spec.get("tolerations") or ()))

    def want(self, expected: Expectation, settings: Settings, count: int = 0) -> Want:
        """What an endpoint on `count` GPUs asks of the nodes of a vendor; 0: without asking what is free now."""
        values = tuple(one for one in TYPES if one.startswith(f"{expected.vendor.key}-"))
        if settings.gpu_type and settings.gpu_type not in values:
            values = (*values, settings.gpu_type) if settings.gpu_type.startswith(f"{expected.vendor.key}-") else values
        return Want(
            expected.vendor,
            count=count,
            labels={self.label: values, **{key: (value,) for key, value in self.selector.items()}},
            tolerations=self.tolerations,
            at_least=expected.at_least,
            kind=self.label,
        )

    def place(self, endpoints: Place, gpu_type: str, more: Mapping[str, str] = {}) -> Place:
        """Where such an endpoint's pod goes: under whom and whence as the others', on nodes with that type."""
        selector = {**self.selector, self.label: gpu_type, **more}
        return replace(endpoints, node_selector=selector, tolerations=self.tolerations)

    def selects(self, settings: Settings) -> Mapping[str, str]:
        """What is known of the labels of a node that is not there yet."""
        return {**self.selector, **({self.label: settings.gpu_type} if settings.gpu_type else {})}

    def types(self, sight: Sight) -> dict[str, list[str]]:
        """The nodes' names by the value of the label; nodes without it are in none."""
        found: dict[str, list[str]] = {}
        for one in sight.nodes:
            value = (one["metadata"].get("labels") or {}).get(self.label)
            if value:
                found.setdefault(value, []).append(one["metadata"]["name"])
        return found

    def unlisted(self, sight: Sight, settings: Settings, kubectl: str) -> Cause | None:
        """Why ``gpu_type`` leads to no node, where somebody gave it."""
        types = self.types(sight)
        if settings.gpu_type is None or settings.gpu_type in types:
            return None
        there = ", ".join(sorted(types)) or "none with that label"
        return Cause(
            f"gpu.{Code.LABEL_VALUE}/{settings.gpu_type}",
            f"no node has {self.label}={settings.gpu_type}; there are {there}",
            evidence=(f"gpu_type: {settings.source('gpu_type')}",),
            settle=0.0,
            do=DO[Code.LABEL_VALUE],
            look=f"{kubectl} get nodes -L {self.label}",
        )

    def chosen(self, sight: Sight, settings: Settings) -> str:
        """The GPU type that an endpoint is made for: as given, else the only one that nodes are labelled with.

        `BadSettings` where there are several or none, and nothing says which.
        """
        if settings.gpu_type:
            return settings.gpu_type
        types = self.types(sight)
        if len(types) == 1:
            return next(iter(types))
        found = ", ".join(f"{one} on {len(nodes)}" for one, nodes in sorted(types.items()))
        line = f"nodes have several GPU types ({found})" if types else f"no node has the label {self.label}"
        raise BadSettings(f"{line}, and nothing says which is meant", do=how_to_give("gpu_type"))
