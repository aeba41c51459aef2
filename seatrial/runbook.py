"""What becomes of each placeholder of the runbook (R0, the smoke tests of Model Engine)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """A setting of ours carries it; `name` is the setting's."""

    name: str


@dataclass(frozen=True)
class Found:
    """The suite finds it itself; `how` says where."""

    how: str


@dataclass(frozen=True)
class Later:
    """No check of today needs it; `check` says which will."""

    check: str


PLACEHOLDERS: Mapping[str, Setting | Found | Later] = {
    "ASB_SECRET_NAME": Setting("asb_secret_name"),
    "AUTH_TOKEN": Setting("auth_token"),
    "AWS_REGION": Setting("aws_region"),
    "BROKER_REDIS_HOST": Setting("broker_redis_host"),
    "BROKER_REDIS_PORT": Setting("broker_redis_port"),
    "DB_URL": Setting("db_url"),
    "ENDPOINT_NAMESPACE": Setting("endpoint_namespace"),
    "GATEWAY_URL": Setting("gateway_url"),
    "GPU_NODE_NAME": Found("the nodes that have GPUs, one of each type or all of them"),
    "GPU_TYPE": Setting("gpu_type"),
    "MODEL_ENGINE_IMAGE_REPOSITORY": Setting("model_engine_image_repository"),
    "MODEL_ENGINE_IMAGE_TAG": Setting("model_engine_image_tag"),
    "MODEL_ENGINE_SERVICE_ACCOUNT": Setting("model_engine_service_account"),
    "NAMESPACE": Setting("namespace"),
    "NODE": Found("the node of the pod in question"),
    "NS": Found("the namespace of the pod in question"),
    "POD": Found("the pods of the endpoint or component in question"),
    "REDIS_HOST": Setting("redis_host"),
    "REDIS_PORT": Setting("redis_port"),
    "VLLM_POD_NAME": Found("the pods of the endpoint, by their label"),
    "VLLM_REPOSITORY": Setting("vllm_repository"),
    "VLLM_TAG": Setting("vllm_tag"),
}


def account(wrong: str) -> str:
    """What to say to somebody who gives a placeholder that is no setting; empty if it is none."""
    match PLACEHOLDERS.get(wrong.upper()):
        case Found(how):
            return f"leave it away, the suite finds it: {how}"
        case Later(check):
            return f"leave it away, no check of today needs it; it comes with {check}"
        case _:
            return ""


STEPS: Mapping[str, str] = {
    "1.1": "Redis reachability",
    "1.2": "Database reachability",
    "1.3": "vLLM image pullable",
    "1.4": "GPU driver functional",
    "1.5": "GPU nodes labelled",
    "1.6": "Broker reachability",
    "2.1": "All pods Running and Ready",
    "2.2": "Gateway HPA exists",
    "2.3": "Celery autoscaler ready",
    "2.4": "Cacher completes cycles",
    "2.5": "Builder's Celery worker ready",
    "2.6": "ConfigMap non-empty",
    "3.1": "Gateway health check",
    "3.2": "Authenticated list of endpoints",
    "4.1": "Create the sync echo endpoint",
    "4.2": "Poll until READY",
    "4.3": "Echo request and its response",
    "4.4": "Create the async echo endpoint",
    "4.5": "Async request until SUCCESS",
    "4.6": "Clean up tier A",
    "5.1": "Create the LLM endpoint",
    "5.2": "Poll until READY",
    "5.3": "Chat completion, sync",
    "5.4": "Chat completion, streaming",
    "5.5": "Clean up tier B",
}
"""The runbook's steps, by their numbers."""
DELIVERED = (
    *("1.1", "1.2", "1.3", "1.4", "1.5", "1.6"),
    *("2.1", "2.2", "2.3", "2.4", "2.5", "2.6"),
    *("3.1", "3.2"),
    *("4.1", "4.2", "4.3", "4.4", "4.5", "4.6"),
    *("5.1", "5.2", "5.3", "5.4", "5.5"),
)
"""The steps that have checks; the others are to come."""
BEYOND = "beyond R0"
"""What a check says that automates none of them."""
