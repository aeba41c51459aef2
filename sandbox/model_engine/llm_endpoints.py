"""An LLM endpoint's create: what is asked of it, the bundle that it becomes, and the endpoint."""

from __future__ import annotations

import base64
from typing import Any

from sandbox.model_engine import checkpoints, config, endpoint_rules, registry
from sandbox.model_engine.endpoint_rules import InvalidRequest
from sandbox.model_engine.endpoints import Endpoints
from sandbox.model_engine.llm_requests import LLM, AnotherFramework, CreateVLLMEndpointRequest
from sandbox.model_engine.requests import (
    CreateModelEndpointV1Request,
    GpuType,
    ModelEndpointType,
    StreamingEnhancedRunnableImageFlavor,
)

HARDWARE = ("gpus", "gpu_type", "cpus", "memory", "storage", "nodes_per_worker")
ROUTES = ("/v1/chat/completions", "/v1/completions")
LATEST = "model-engine-inference-framework-latest-config"  # whatever the release is called
FROM_THE_REQUEST = (
    *("name", "endpoint_type", "metadata", "post_inference_hooks", *HARDWARE, "min_workers", "max_workers"),
    *("per_worker", "labels", "prewarm", "high_priority", "billing_tags", "default_callback_url"),
    *("default_callback_auth", "public_inference", "queue_message_timeout_seconds", "task_expires_seconds"),
)
OF_THE_MODEL = (
    *("source", "quantize", "model_name", "num_shards", "checkpoint_path", "inference_framework"),
    *("chat_template_override", "inference_framework_image_tag"),
)
VLLM = (
    'python -m vllm_server --model {folder} --served-model-name {model} {folder} --port 5005 --host "::"'
    " --enforce-eager --tensor-parallel-size {shards} --gpu-memory-utilization 0.9"
)


class ImageNotFound(Exception):
    """No registry has the image of this tag."""


async def create(endpoints: Endpoints, owner: str, request: CreateVLLMEndpointRequest | AnotherFramework) -> str:
    """The id of the build's task. InvalidRequest, ImageNotFound; InvalidRequestException, which nobody expects."""
    if isinstance(request, AnotherFramework):
        raise NotImplementedError(f"an LLM endpoint with {request.inference_framework}")
    check(request)
    if request.inference_framework_image_tag == "latest":
        request.inference_framework_image_tag = await _latest(endpoints)
    repository = config.full_repository(config.service_config()["vllm_repository"])
    if not registry.has(f"{repository}:{request.inference_framework_image_tag}"):
        raise ImageNotFound
    await checkpoints.check(request.checkpoint_path, request.model_name)
    return await start(endpoints, owner, request)


def check(request: CreateVLLMEndpointRequest) -> None:
    """What can be said without looking anything up. InvalidRequest."""
    missing = [name for name in HARDWARE if getattr(request, name) is None]
    if len(missing) == len(HARDWARE):
        raise NotImplementedError("an LLM endpoint whose hardware is inferred from its model")
    if missing:
        raise InvalidRequest(
            "All hardware spec fields (gpus, gpu_type, cpus, memory, storage, nodes_per_worker) must be provided"
            " if any hardware spec field is missing."
        )
    endpoint = endpoint_request(request, "")
    endpoint_rules.check_request(endpoint)
    if request.gpu_type is GpuType.NVIDIA_AMPERE_A100E:
        raise InvalidRequest("We have migrated A100 usage to H100. Please request for H100 instead!")
    if request.num_shards != request.gpus:
        raise InvalidRequest(f"Num shard {request.num_shards} must be equal to the number of GPUs {request.gpus}.")
    if request.endpoint_type is not ModelEndpointType.STREAMING:
        kind = f"ModelEndpointType.{request.endpoint_type.name}"
        raise InvalidRequest(
            f"Creating endpoint type {kind} is not allowed. Can only create streaming endpoints"
            " for text-generation-inference, vLLM, LightLLM, and TensorRT-LLM."
        )
    for name, asked in (("nodes_per_worker > 1", request.nodes_per_worker != 1), ("quantize", request.quantize)):
        if asked:
            raise NotImplementedError(f"an LLM endpoint with {name}")
    endpoint_rules.check_resources(endpoint)


async def start(endpoints: Endpoints, owner: str, request: CreateVLLMEndpointRequest) -> str:
    """Make its bundle, and of that an endpoint; the id of the build's task. InvalidRequest for a name in use."""
    bundle_id = await endpoints.store.create_bundle(
        owner=owner, name=request.name, schema_location="TBA", metadata={}, flavor=flavor(request)
    )
    (bundle,) = await endpoints.store.bundles(id=bundle_id)
    asked = request.model_dump(mode="json")
    model = {name: asked[name] for name in OF_THE_MODEL} | {"model_cache_enabled": False}
    endpoint = endpoint_request(request, bundle_id)
    endpoint.metadata = request.metadata | {LLM: model}
    return await endpoints.create(owner, endpoint, bundle)


def endpoint_request(request: CreateVLLMEndpointRequest, bundle_id: str) -> CreateModelEndpointV1Request:
    """The endpoint that is asked for; nothing checks it as a request for one."""
    own = {name: getattr(request, name) for name in FROM_THE_REQUEST}
    return CreateModelEndpointV1Request.model_construct(model_bundle_id=bundle_id, **own)


def flavor(request: CreateVLLMEndpointRequest) -> dict[str, Any]:
    """Of the bundle, as it is stored."""
    assert request.checkpoint_path is not None
    commands = ["set -euo pipefail", *checkpoints.download_commands(request.checkpoint_path)]
    vllm = VLLM.format(folder=checkpoints.FOLDER, model=request.model_name, shards=request.num_shards)
    if request.chat_template_override:
        encoded = base64.b64encode(request.chat_template_override.encode()).decode()
        commands.append(f'export CHAT_TEMPLATE=$(echo "{encoded}" | base64 --decode)')
        vllm += ' --chat-template "$CHAT_TEMPLATE"'
    command = ["/bin/bash", "-c", ";".join([*commands, vllm])]
    made = StreamingEnhancedRunnableImageFlavor.model_validate(
        {
            "flavor": "streaming_enhanced_runnable_image",
            "repository": config.service_config()["vllm_repository"],
            "tag": request.inference_framework_image_tag,
            "command": command,
            "streaming_command": command,
            "protocol": "http",
            "readiness_initial_delay_seconds": 10,
            "healthcheck_route": "/health",
            "routes": list(ROUTES),
            "env": {},
        }
    )
    return made.model_dump(mode="json")


async def _latest(endpoints: Endpoints) -> str:
    """The newest tag, as the chart wrote it down at the install. ApiError without the ConfigMap."""
    namespace = config.service_config()["gateway_namespace"]
    found = await endpoints.kubernetes.get(f"/api/v1/namespaces/{namespace}/configmaps/{LATEST}")
    return str(found["data"]["vllm"])
