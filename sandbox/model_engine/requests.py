"""The request bodies of the released API, field by field in the product's order: its 422 answers follow from them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from sandbox.model_engine import config

# A number or a quantity such as "500m" or "1Gi".
Specification = str | int | float


class ModelEndpointType(StrEnum):
    ASYNC = "async"
    SYNC = "sync"
    STREAMING = "streaming"


class ModelEndpointOrderBy(StrEnum):
    NEWEST = "newest"
    OLDEST = "oldest"
    ALPHABETICAL = "alphabetical"


class GpuType(StrEnum):
    NVIDIA_TESLA_T4 = "nvidia-tesla-t4"
    NVIDIA_AMPERE_A10 = "nvidia-ampere-a10"
    NVIDIA_AMPERE_A100 = "nvidia-ampere-a100"
    NVIDIA_AMPERE_A100E = "nvidia-ampere-a100e"
    NVIDIA_HOPPER_H100 = "nvidia-hopper-h100"
    NVIDIA_HOPPER_H100_1G_20GB = "nvidia-hopper-h100-1g20gb"
    NVIDIA_HOPPER_H100_3G_40GB = "nvidia-hopper-h100-3g40gb"
    if config.patched():
        AMD_INSTINCT_MI300X = "amd-instinct-mi300x"


class ModelBundleFlavorType(StrEnum):
    CLOUDPICKLE_ARTIFACT = "cloudpickle_artifact"
    ZIP_ARTIFACT = "zip_artifact"
    RUNNABLE_IMAGE = "runnable_image"
    STREAMING_ENHANCED_RUNNABLE_IMAGE = "streaming_enhanced_runnable_image"
    TRITON_ENHANCED_RUNNABLE_IMAGE = "triton_enhanced_runnable_image"


class Body(BaseModel):
    """Unknown fields are ignored, as in the product."""

    model_config = ConfigDict(protected_namespaces=())


class ArtifactLike(Body):
    requirements: list[str]
    framework: dict[str, Any]
    app_config: dict[str, Any] | None = None
    location: str


class CloudpickleArtifactFlavor(ArtifactLike):
    flavor: Literal[ModelBundleFlavorType.CLOUDPICKLE_ARTIFACT]
    load_predict_fn: str
    load_model_fn: str


class ZipArtifactFlavor(ArtifactLike):
    flavor: Literal[ModelBundleFlavorType.ZIP_ARTIFACT]
    load_predict_fn_module_path: str
    load_model_fn_module_path: str


class RunnableImageLike(Body):
    repository: str
    tag: str
    command: list[str]
    predict_route: str = "/predict"
    healthcheck_route: str = "/readyz"
    env: dict[str, str] | None = None
    protocol: Literal["http"]
    readiness_initial_delay_seconds: int = 120
    extra_routes: list[str] = []
    routes: list[str] = []
    forwarder_type: str | None = "default"
    worker_command: list[str] | None = None
    worker_env: dict[str, str] | None = None


class RunnableImageFlavor(RunnableImageLike):
    flavor: Literal[ModelBundleFlavorType.RUNNABLE_IMAGE]


class StreamingEnhancedRunnableImageFlavor(RunnableImageLike):
    flavor: Literal[ModelBundleFlavorType.STREAMING_ENHANCED_RUNNABLE_IMAGE]
    command: list[str] = []
    streaming_command: list[str]
    streaming_predict_route: str = "/stream"


class TritonEnhancedRunnableImageFlavor(RunnableImageLike):
    flavor: Literal[ModelBundleFlavorType.TRITON_ENHANCED_RUNNABLE_IMAGE]
    triton_model_repository: str
    triton_num_cpu: float
    triton_commit_tag: str


Flavor = Annotated[
    CloudpickleArtifactFlavor
    | ZipArtifactFlavor
    | RunnableImageFlavor
    | StreamingEnhancedRunnableImageFlavor
    | TritonEnhancedRunnableImageFlavor,
    Field(discriminator="flavor"),
]


class CreateModelBundleV2Request(Body):
    name: str
    metadata: dict[str, Any] | None = None
    schema_location: str
    flavor: Flavor


class CreateModelEndpointV1Request(Body):
    name: str = Field(max_length=63)
    model_bundle_id: str
    endpoint_type: ModelEndpointType
    metadata: dict[str, Any]
    post_inference_hooks: list[str] | None = None
    cpus: Specification
    gpus: int = Field(ge=0)
    memory: Specification
    gpu_type: GpuType | None = None
    storage: Specification
    nodes_per_worker: int = Field(default=1, gt=0)
    optimize_costs: bool | None = None
    min_workers: int = Field(ge=0)
    max_workers: int = Field(ge=0)
    per_worker: int = Field(gt=0)
    concurrent_requests_per_worker: int | None = Field(default=None, gt=0)
    forwarder_max_concurrency: int | None = Field(default=None, ge=1, le=20)
    labels: dict[str, str]
    prewarm: bool | None = None
    high_priority: bool | None = None
    billing_tags: dict[str, Any] | None = None
    default_callback_url: str | None = None
    default_callback_auth: dict[str, Any] | None = None
    public_inference: bool = False
    queue_message_timeout_seconds: int | None = Field(default=None, ge=1, le=43200)
    task_expires_seconds: int | None = Field(default=None, ge=1)


class Arguments(RootModel[Any]):
    """Any JSON."""


class EndpointPredictV1Request(Body):
    url: str | None = None
    args: Arguments | None = None
    cloudpickle: str | None = None
    callback_url: str | None = None
    callback_auth: dict[str, Any] | None = None
    return_pickled: bool = False
    destination_path: str | None = None


class SyncEndpointPredictV1Request(EndpointPredictV1Request):
    timeout_seconds: float | None = Field(default=None, gt=0)
    num_retries: int | None = Field(default=None, ge=0)


class SyncEndpointPredictV1Response(Body):
    status: Literal["SUCCESS", "FAILURE"]
    result: Any = None
    traceback: str | None = None
    status_code: int | None = None
