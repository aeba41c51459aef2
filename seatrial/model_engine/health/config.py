"""What is wrong with the release's ConfigMaps. Values are never quoted: there are passwords among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from seatrial.config_maps import cause, data, trouble
from seatrial.kube import Kube
from seatrial.model_engine.configuration import INFRA, LAUNCH
from seatrial.model_engine.discovery import Release
from seatrial.verdict import Cause

REQUIRED: Mapping[str, tuple[tuple[str, ...], ...]] = {
    LAUNCH: (
        *(("gateway_namespace",), ("endpoint_namespace",), ("billing_queue_arn",), ("sqs_profile",)),
        *(("sqs_queue_policy_template",), ("sqs_queue_tag_template",), ("model_primitive_host",)),
        ("cloud_file_llm_fine_tune_repository", "s3_file_llm_fine_tune_repository"),
        *(("hf_user_fine_tuned_weights_prefix",), ("istio_enabled",), ("dd_trace_enabled",), ("vllm_repository",)),
        *(("batch_inference_vllm_repository",), ("sensitive_log_mode",)),
    ),
    INFRA: (
        *(("cloud_provider",), ("env",), ("k8s_cluster_name",), ("dns_host_domain",), ("default_region",)),
        *(("ml_account_id",), ("docker_repo_prefix",), ("s3_bucket",)),
    ),
}
"""What the product's configuration classes want, without a default; of several names any will do: it was renamed."""
TEMPLATES = ("deployment-runnable-image-sync-cpu.yaml", "service.yaml")
"""Of the templates for endpoints: those without which no endpoint on CPUs can be made."""


def mounted(release: Release) -> tuple[str, ...]:
    """The ConfigMaps that the components' pods mount and cannot do without."""
    names: dict[str, None] = {}
    for workload in release.components.values():
        for one in workload["spec"]["template"]["spec"].get("volumes") or []:
            if "configMap" in one and not one["configMap"].get("optional"):
                names[one["configMap"]["name"]] = None
    return tuple(names)


def complete(kube: Kube, release: Release, name: str) -> Cause | None:
    """Why the ConfigMap `name` is not what a pod needs: missing, empty, no YAML, or without a key that is needed."""
    namespace = release.namespace
    found = data(kube, namespace, name)
    is_service_config = found is not None and any(key in found for key in REQUIRED)
    needed = TEMPLATES if name.endswith("-service-template-config") else tuple(REQUIRED) if is_service_config else ()
    if said := trouble(kube, namespace, name, found, needed):
        return said
    wrong = _wrong(found) if found and is_service_config else None
    return cause(kube, wrong[0], namespace, name, wrong[1]) if wrong else None


def differing(kube: Kube, release: Release, endpoint_namespace: str) -> Cause | None:
    """Where the service configuration for endpoints' pods is not that of the control plane, or that one has none."""
    name = release.config_map(LAUNCH) or f"{release.fullname}-service-config"
    own, copy = data(kube, release.namespace, name), data(kube, endpoint_namespace, name)
    if own is None or not any(own.values()):
        return trouble(kube, release.namespace, name, own, ())
    if copy is None:
        return cause(
            kube, "missing", endpoint_namespace, name, "does not exist", "endpoints' pods mount it and cannot start"
        )
    keys = [line for key in sorted({*own, *copy}) for line in _differences(key, own.get(key), copy.get(key))]
    if not keys:
        return None
    return cause(
        kube,
        "differs",
        endpoint_namespace,
        name,
        f"is not the same as in namespace {release.namespace}: {', '.join(keys)}",
        "endpoints' pods go by this one, the control plane by the other",
    )


def mapping(text: str) -> Mapping[str, Any] | str:
    """The YAML mapping in `text`; or what it is instead, to follow "that"."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        return f"is no YAML{f', see its line {mark.line + 1}' if mark else ''}"
    return found if isinstance(found, dict) else "is no mapping"


def _wrong(found: Mapping[str, str]) -> tuple[str, str] | None:
    """What is wrong with the service configuration in `found`: a word and a sentence."""
    parsed = {key: mapping(found[key]) for key in REQUIRED}
    for key, one in parsed.items():
        if isinstance(one, str):
            return "malformed", f"holds a {key} that {one}"
    for key, one in parsed.items():
        if missing := [" or ".join(names) for names in REQUIRED[key] if not any(name in one for name in names)]:
            return "incomplete", f"has no {', '.join(missing)} in its {key}"
    return None


def _differences(key: str, own: str | None, copy: str | None) -> list[str]:
    """What is different below `key`, by name."""
    if own == copy:
        return []
    if own is None or copy is None:
        return [key]
    one, other = mapping(own), mapping(copy)
    if isinstance(one, str) or isinstance(other, str):
        return [key]
    return [f"{key}.{name}" for name in sorted({*one, *other}) if one.get(name) != other.get(name)]
