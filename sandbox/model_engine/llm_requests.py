"""The request bodies of the released API's LLM routes; see `requests`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from sandbox.model_engine.requests import Body, GpuType, ModelEndpointType, Specification

LLM = "_llm"  # the key of an endpoint's metadata that tells of its model


class LLMInferenceFramework(StrEnum):
    VLLM = "vllm"
    SGLANG = "sglang"
    DEEPSPEED = "deepspeed"
    TEXT_GENERATION_INFERENCE = "text_generation_inference"
    LIGHTLLM = "lightllm"
    TENSORRT_LLM = "tensorrt_llm"


class LLMEndpointCommonArgs(Body):
    quantize: Literal["bitsandbytes", "awq"] | None = None
    checkpoint_path: str | None = None
    post_inference_hooks: list[str] | None = None
    cpus: Specification | None = None
    gpus: int | None = None
    memory: Specification | None = None
    gpu_type: GpuType | None = None
    storage: Specification | None = None
    nodes_per_worker: int | None = None
    optimize_costs: bool | None = None
    min_workers: int
    max_workers: int
    per_worker: int
    labels: dict[str, str]
    prewarm: bool | None = None
    high_priority: bool | None = None
    billing_tags: dict[str, Any] | None = None
    default_callback_url: str | None = None
    default_callback_auth: dict[str, Any] | None = None
    public_inference: bool | None = True
    chat_template_override: str | None = None
    queue_message_timeout_seconds: int | None = Field(default=None, ge=1, le=43200)
    task_expires_seconds: int | None = Field(default=None, ge=1)


class CreateVLLMEndpointRequest(LLMEndpointCommonArgs):
    name: str
    model_name: str
    source: Literal["hugging_face"] = "hugging_face"
    inference_framework: Literal[LLMInferenceFramework.VLLM] = LLMInferenceFramework.VLLM
    inference_framework_image_tag: str = "latest"
    num_shards: int = 1
    metadata: dict[str, Any]
    endpoint_type: ModelEndpointType = ModelEndpointType.SYNC


class AnotherFramework(Body):
    """Of a framework that this sandbox has no stand-in for."""

    inference_framework: LLMInferenceFramework


def get_inference_framework(value: Any) -> Any:
    """Which body it is; the product's error names this function."""
    return value.get("inference_framework", LLMInferenceFramework.VLLM)


CreateLLMModelEndpointV1Request = Annotated[
    Annotated[CreateVLLMEndpointRequest, Tag(LLMInferenceFramework.VLLM)]
    | Annotated[AnotherFramework, Tag(LLMInferenceFramework.SGLANG)]
    | Annotated[AnotherFramework, Tag(LLMInferenceFramework.DEEPSPEED)]
    | Annotated[AnotherFramework, Tag(LLMInferenceFramework.TEXT_GENERATION_INFERENCE)]
    | Annotated[AnotherFramework, Tag(LLMInferenceFramework.LIGHTLLM)]
    | Annotated[AnotherFramework, Tag(LLMInferenceFramework.TENSORRT_LLM)],
    Discriminator(get_inference_framework),
]


class ChatCompletionV2Request(Body):
    """As far as anybody needs it of OpenAI's; `model` is the endpoint's name."""

    messages: list[dict[str, Any]] = Field(min_length=1)
    model: str
    stream: bool | None = False
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    stream_options: dict[str, bool] | None = None


class ChatCompletionMessage(Body):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[Any] | None = None
    annotations: list[Any] | None = None
    role: Literal["assistant"]
    function_call: dict[str, Any] | None = None
    audio: dict[str, Any] | None = None
    reasoning_content: str | None = None


class ChatCompletionChoice(Body):
    finish_reason: str
    index: int
    message: ChatCompletionMessage
    logprobs: dict[str, Any] | None = None


class Usage(Body):
    completion_tokens: int
    prompt_tokens: int
    total_tokens: int
    completion_tokens_details: dict[str, Any] | None = None
    prompt_tokens_details: dict[str, Any] | None = None


class ChatCompletionV2SyncResponse(Body):
    """What an answer of the worker becomes: its own fields go, all of OpenAI's are there."""

    id: str
    choices: list[ChatCompletionChoice]
    created: int
    model: str
    service_tier: str | None = None
    system_fingerprint: str | None = None
    object: Literal["chat.completion"]
    usage: Usage | None = None


class Delta(Body):
    content: str | None = None
    role: str | None = None


class ChunkChoice(Body):
    delta: Delta
    finish_reason: str | None = None
    index: int


class ChatCompletionV2StreamSuccessChunk(Body):
    id: str
    choices: list[ChunkChoice]
    created: int
    model: str
    object: Literal["chat.completion.chunk"]
    usage: Usage | None = None
