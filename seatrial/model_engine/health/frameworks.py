"""The ConfigMap with the tags of the inference frameworks' images: only an install writes it, an upgrade does not."""

from __future__ import annotations

from collections.abc import Mapping

from seatrial import config_maps
from seatrial.kube import Kube
from seatrial.model_engine.discovery import Release
from seatrial.verdict import Cause

NEEDED, VALUES = "vllm", "inferenceFramework"
"""The framework whose tag every LLM endpoint asks for, and where the chart's values have the tags."""


def trouble(kube: Kube, release: Release) -> Cause | None:
    """Why an endpoint would get another version than the release says: the ConfigMap is an older one, or not there."""
    namespace, name = release.namespace, f"{release.fullname}-inference-framework-latest-config"
    look = f"{kube.kubectl} -n {namespace} get configmap {name} -o yaml"
    found = config_maps.data(kube, namespace, name)
    if found is None or not found.get(NEEDED):
        said = "does not exist" if found is None else f"has no {NEEDED}"
        return Cause(
            f"config.frameworks/{namespace}/{name}",
            f"the ConfigMap {namespace}/{name} {said}: LLM endpoints without a tag of their own cannot be created",
            do="helm upgrade does not write it: apply it by hand, as the chart has it",
            look=look,
        )
    wanted: Mapping[str, object] = release.helm.values.get(VALUES) or {}
    stale = [
        f"{key}: {found.get(key)}, the release says {value}"
        for key, value in wanted.items()
        if found.get(key) != str(value)
    ]
    if not stale:
        return None
    return Cause(
        f"config.frameworks/{namespace}/{name}",
        f"the ConfigMap {namespace}/{name} is not the release's: {'; '.join(stale)}",
        evidence=(f"{release.helm}",),
        do=f"an upgrade does not refresh it: {kube.kubectl} -n {namespace} edit configmap {name}",
        look=look,
    )
