"""What the gateway asks of a new endpoint beyond its types: the product's business errors, HTTP 400 with a text."""

from __future__ import annotations

import re
from typing import Any

from sandbox.model_engine.quantity import number
from sandbox.model_engine.requests import CreateModelEndpointV1Request, ModelEndpointType

REQUIRED_LABELS = ("product", "team")
RESTRICTED_LABELS = {"user_id", "endpoint_name"}
LABEL_VALUE = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
MAX_WORKERS = 50

FORWARDER: dict[str, Any] = {"cpus": 1.0, "memory": "2Gi", "storage": "1G"}
LIMITS: dict[str | None, dict[str, Any]] = {  # by GPU type: what an instance has
    None: {"cpus": 7, "memory": "30Gi"},
    "nvidia-tesla-t4": {"cpus": 63, "memory": "250Gi"},
    "nvidia-ampere-a10": {"cpus": 63, "memory": "250Gi"},
    "nvidia-ampere-a100": {"cpus": 95, "memory": "1000Gi"},
    "nvidia-ampere-a100e": {"cpus": 95, "memory": "1000Gi"},
    "nvidia-hopper-h100": {"cpus": 191, "memory": "2000Gi"},
    "nvidia-hopper-h100-1g20gb": {"cpus": 47, "memory": "500Gi"},
    "nvidia-hopper-h100-3g40gb": {"cpus": 95, "memory": "1000Gi"},
    "amd-instinct-mi300x": {"cpus": 191, "memory": "2000Gi"},
}
STORAGE_LIMIT = "500G"


class InvalidRequest(Exception):
    """The request's content is refused; the text is the answer's `detail`."""


def check_request(request: CreateModelEndpointV1Request) -> None:
    """What can be said before the bundle is looked up."""
    # prometheus_server_address is not set in this deployment: nothing could scale an HTTP endpoint up from zero.
    least = 0 if request.endpoint_type is ModelEndpointType.ASYNC else 1
    if request.min_workers < least:
        raise InvalidRequest(f"Requested min workers {request.min_workers} too low")
    if request.max_workers > MAX_WORKERS:
        raise InvalidRequest(f"Requested max workers {request.max_workers} too high")
    for label in (label for label in REQUIRED_LABELS if label not in request.labels):
        raise InvalidRequest(f"Missing label '{label}' in labels. These are all required: {{'product', 'team'}}")
    for label in sorted(RESTRICTED_LABELS & set(request.labels)):
        raise InvalidRequest(f"Cannot specify '{label}' in labels")
    for value in request.labels.values():
        if re.fullmatch(LABEL_VALUE, value) is None:
            raise InvalidRequest(f"Invalid label value {value}, must match regex {LABEL_VALUE}")


def check_with_bundle(request: CreateModelEndpointV1Request, flavor: dict[str, Any]) -> None:
    """What depends on the bundle. `flavor`: as stored."""
    streaming = request.endpoint_type is ModelEndpointType.STREAMING
    if streaming and flavor["flavor"] != "streaming_enhanced_runnable_image":
        raise InvalidRequest("Cannot create a streaming endpoint for a non-streaming model bundle.")
    if streaming and request.per_worker != 1:
        raise InvalidRequest("Cannot create a streaming endpoint with per_worker != 1.")
    if not streaming and not flavor["command"]:
        raise InvalidRequest("Cannot create a non-streaming endpoint with no bundle command.")
    check_resources(request)
    if request.gpus:
        raise NotImplementedError("an endpoint with GPUs")


def check_resources(request: CreateModelEndpointV1Request) -> None:
    """Whether an instance can hold what one worker and its forwarder ask for."""
    gpus, gpu_type = request.gpus, request.gpu_type
    if gpus == 0 and gpu_type is not None:
        raise InvalidRequest(f"Cannot have {gpus=} when gpu_type is not None")
    if gpus > 0 and gpu_type is None:
        raise InvalidRequest("Must provide gpu_type if gpus > 0")
    limits = LIMITS[gpu_type] | {"storage": STORAGE_LIMIT}
    for name in ("cpus", "memory", "storage"):
        asked = getattr(request, name)
        try:
            value = number(asked)
        except ValueError:
            raise InvalidRequest(f"Requested {name}={asked!r} is incorrectly formatted") from None
        if value <= 0:
            raise InvalidRequest(f"Requested {name} must be positive")
        total, largest = value + number(FORWARDER[name]), number(limits[name])
        if total > largest:
            total = total if name == "cpus" else int(total)
            rest = f"{largest - number(FORWARDER[name]):g}" if name == "cpus" else _gigabytes(limits[name], name)
            raise InvalidRequest(f"Requested {name}={total} too high. The maximum for {gpu_type=} is {rest}")


def _gigabytes(limit: str, name: str) -> str:
    return f"{int(limit.rstrip('Gi')) - int(FORWARDER[name].rstrip('Gi'))}{limit.lstrip('0123456789')}"
