"""The objects that the product's chart installs, from the YAML files in ``chart/``, and the images they run."""

from __future__ import annotations

import base64
import json
import re
import textwrap
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from sandbox.model_engine import weights
from sandbox.model_engine.config import LOADER, PATCHED, parse

CHART = Path(__file__).with_name("chart")
VERSION = "0.2.7"
COMMIT = "a82369619a365b79a45e49ef6af1045653102615"

# What each contract calls the workloads; their label `app` is their name.
WORKLOADS = {
    "released": {"gateway": "{}", "builder": "{}-endpoint-builder", "cacher": "{}-cacher"},
    "documented": {"gateway": "{}-gateway", "builder": "{}-builder", "cacher": "{}-cacher"},
}
AUTOSCALERS = {"released": "celery-autoscaler-{celery_broker_type}", "documented": "{fullname}-celery-autoscaler"}

# In install order. A file that is rendered twice goes to two namespaces: its `config_namespace`.
NAMESPACES = (("namespaces.yaml", ""),)
SECRETS = (("database_secret.yaml", ""),)  # the user's, not the chart's: there before the install
AZURE = (
    ("keda.yaml", ""),
    ("azure_secrets.yaml", "namespace"),
    ("azure_secrets.yaml", "endpoint_namespace"),
)
CLUSTER = (("metrics_adapter.yaml", ""),)
RELEASE = (
    ("priority_classes.yaml", ""),
    ("service_accounts.yaml", ""),
    ("service_config.yaml", "namespace"),
    ("service_config.yaml", "endpoint_namespace"),
    ("aws_config.yaml", "namespace"),
    ("aws_config.yaml", "endpoint_namespace"),
    ("service_template_config.yaml", ""),
    ("inference_frameworks.yaml", ""),
    ("migration.yaml", ""),
)
WORKLOAD_FILES = (("gateway.yaml", ""), ("builder.yaml", ""), ("cacher.yaml", ""), ("autoscaler.yaml", ""))
FILES = {
    "released": (*RELEASE, *WORKLOAD_FILES),
    "documented": (*RELEASE, ("documented_config.yaml", ""), *WORKLOAD_FILES),
}
GATEWAYS = {"released": "sandbox.model_engine.gateway", "documented": "sandbox.model_engine.documented_gateway"}
MIGRATION = "model_engine_server/db/migrations/run_database_migration.sh"
PROGRAMS = {
    "--app=model_engine_server.service_builder": "--app=sandbox.model_engine.builder",
    "model_engine_server.entrypoints.k8s_cache": "sandbox.model_engine.cacher",
    "model_engine_server.core.celery.celery_autoscaler": "sandbox.model_engine.autoscaler",
    "model_engine_server.inference.forwarding.http_forwarder": "sandbox.model_engine.http_forwarder",
    "model_engine_server.inference.forwarding.celery_forwarder": "sandbox.model_engine.celery_forwarder",
    "model_engine_server.inference.forwarding.echo_server": "sandbox.model_engine.echo",
    MIGRATION: str(Path(__file__).with_name("run_database_migration.sh")),
}
# What they import of others, and what of it would come in one by one as they work.
IMPORTS = (
    *("aiohttp.web", "asyncpg", "boto3", "fastapi", "redis.asyncio", "uvicorn", "yaml"),
    *("celery.bin.celery", "celery.apps.worker", "celery.backends.s3", "celery.concurrency.prefork"),
    *("kombu.transport.SQS", "kombu.transport.redis"),
)
AZURE_IMPORTS = ("azure.identity", "azure.servicebus.management", "kombu.transport.azureservicebus")
# What the templates of the three types of endpoints do not share.
PROXY = 'sidecar.istio.io/holdApplicationUntilProxyStarts: "true"'
ENDPOINT_TYPES: dict[str, dict[str, Any]] = {
    "sync": {"grace_period": "600", "proxy_annotation": PROXY, "pod_labels": {}},
    "streaming": {"grace_period": "600", "proxy_annotation": PROXY, "pod_labels": {}},
    "async": {"grace_period": "1800", "proxy_annotation": "", "pod_labels": {"sidecar.istio.io/inject": "false"}},
}
BROKER_NAMES = {
    "sqs": "sqs-message-broker-master",
    "redis": "redis-elasticache-message-broker-master",
    "servicebus": "servicebus-message-broker-master",
}
# The annotation that gives a service account its role in the cloud, and what stands in it.
ROLES = {
    "aws": ("eks.amazonaws.com/role-arn", "arn:aws:iam::123456789012:role/{role}"),
    "azure": ("azure.workload.identity/client-id", "11111111-1111-1111-1111-111111111111"),
    "gcp": ("iam.gke.io/gcp-service-account", "{role}@sandbox.iam.gserviceaccount.com"),
}
# Where the cacher keeps images at hand: of this sandbox's nodes the first alone fits.
IMAGE_CACHES = {
    "cpu": {"kubernetes.io/os": "linux"},
    "a10": {"k8s.amazonaws.com/accelerator": "nvidia-ampere-a10"},
    "a100": {"k8s.amazonaws.com/accelerator": "nvidia-ampere-a100"},
    "t4": {"k8s.amazonaws.com/accelerator": "nvidia-tesla-t4"},
    "h100": {"k8s.amazonaws.com/accelerator": "nvidia-hopper-h100"},
}
DEVICE_WORDS = {"node_selector": "nodeSelector", "tolerations": "tolerations"}
ROLE_NAMES = {"release": "k8s-main-llm-engine", "endpoints": "llm-engine"}
# How the product's credential of the environment comes about: by the pod's identity, or by a Secret.
AZURE_CREDENTIALS = {"released": "WorkloadIdentityCredential", "documented": "EnvironmentCredential"}
AZURE_POOLS = {"released": "", "documented": "broker_pool_limit: 0"}
FORWARDER_OPTIONS = {"sqs": '- --sqs-url\n- "${SQS_QUEUE_URL}"', "servicebus": "- --backend-protocol\n- abs"}
CHART_LABELS = ("helm.sh/chart", "app.kubernetes.io/managed-by")  # which the autoscaler does not carry
GPU_TOLERATIONS = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]

Object = dict[str, Any]


@dataclass(frozen=True)
class Values:
    """What the chart is installed with. URLs are those of the outside services, as seen from the pods."""

    database_url: str
    redis_url: str
    sqs_url: str
    s3_url: str
    namespace: str = "model-engine"
    endpoint_namespace: str = "model-engine-endpoints"
    fullname: str = "model-engine"  # fullnameOverride
    image_repository: str = "registry.local/model-engine"
    vllm_repository: str = "registry.local/vllm"
    vllm_tag: str = "0.11.1"
    contract: str = "released"
    context: str = "sandbox"
    cloud: str = "aws"
    redis_broker: bool = False
    patched: bool = False
    vendor: str = ""  # of the nodes' GPUs
    gpu_tolerations: tuple[
        Object, ...
    ] = ()  # gpuTolerations: where the nodes' taint is not the one that the chart knows
    gateways: int = 1
    num_shards: int = 1  # of the Celery autoscaler
    client_secret: str = "sandbox"  # of the application that the documented contract logs in to Azure as

    @property
    def image_tag(self) -> str:
        return COMMIT + (PATCHED if self.patched else "")

    @property
    def image(self) -> str:
        return f"{self.image_repository}:{self.image_tag}"

    @property
    def vllm_image(self) -> str:
        return f"{self.vllm_repository}:{self.vllm_tag}"

    @property
    def gpu_resource(self) -> str:
        """What an endpoint with GPUs asks for: the released product knows NVIDIA's alone."""
        return "amd.com/gpu" if self.patched and self.vendor == "amd" else "nvidia.com/gpu"


def objects(values: Values) -> list[Object]:
    """What an install creates, in its order."""
    own = (("trigger_authentication.yaml", ""),) if values.cloud == "azure" else ()
    return rendered((*FILES[values.contract], *own), values)


def surroundings(values: Values) -> list[Object]:
    """What is there before an install: namespaces, Secrets, an adapter for metrics, on Azure KEDA."""
    return rendered((*NAMESPACES, *SECRETS, *(AZURE if values.cloud == "azure" else ()), *CLUSTER), values)


def rendered(files: tuple[tuple[str, str], ...], values: Values) -> list[Object]:
    """The objects of some of the chart's files; each may name the namespace that it goes to."""
    words = substitutions(values)
    found: list[Object] = []
    for file, config_namespace in files:
        text = render(file, words | {"config_namespace": words.get(config_namespace, "")})
        found += yaml.load_all(text, Loader=LOADER)
    return found


def images(values: Values) -> dict[str, Any]:
    """What ``images.json`` begins with: the release's image with what stands for each module of the product, and the
    vLLM image, which has an interpreter and a shell's tools."""
    gateway = {"model_engine_server.entrypoints.start_fastapi_server": GATEWAYS[values.contract]}
    return {
        values.image: {"id": f"sha256:{COMMIT:0>64}", "programs": gateway | PROGRAMS},
        values.vllm_image: {"id": f"sha256:{'7' * 64}", "programs": vllm_programs(values.s3_url)},
    }


def vllm_programs(store: str) -> dict[str, str]:
    """What stands for the programs that a worker's shell starts. `store`: where the weights are, whatever the cloud."""
    fetch = f"python -m sandbox.model_engine.weights --store {store}"
    return {
        **{program: f"{fetch} {name}" for program, name in weights.TOOLS.items()},
        "vllm_server": "sandbox.model_engine.vllm",
    }


def user_values(values: Values) -> str:
    """The helm values file that this release is installed with."""
    return render("values.yaml", substitutions(values))


def default_values() -> dict[str, Any]:
    """The chart's own values."""
    return dict(parse((CHART / "default_values.yaml").read_text()))


def substitutions(values: Values) -> dict[str, str]:
    """What stands for each ``{{ name }}`` of the files; blocks as JSON, which is YAML on one line."""
    redis = urlsplit(values.redis_url)
    broker = "redis" if values.redis_broker else {"azure": "servicebus"}.get(values.cloud, "sqs")
    words: dict[str, str] = {
        **{name: str(value) for name, value in asdict(values).items()},
        **{name: pattern.format(values.fullname) for name, pattern in WORKLOADS[values.contract].items()},
        "image_tag": values.image_tag,
        "image": values.image,
        "database_url_base64": base64.b64encode(values.database_url.encode()).decode(),
        "docker_repo_prefix": values.image_repository.rpartition("/")[0],
        "redis_host": str(redis.hostname),
        "redis_port": str(redis.port),
        "cache_redis_url": redis._replace(path="/15").geturl(),
        # On Azure, too, this key holds; the other way there is a token for a password.
        "cache_redis_key": f"cache_redis_{values.cloud.replace('azure', 'onprem')}_url",
        **{
            f"annotations_of_{who}": json.dumps(role_annotations(values.cloud, name))
            for who, name in ROLE_NAMES.items()
        },
        "identity_label": 'azure.workload.identity/use: "true"' if values.cloud == "azure" else "",
        "azure_credential": AZURE_CREDENTIALS[values.contract],
        "client_secret_base64": base64.b64encode(values.client_secret.encode()).decode(),
        "azure_values": render("values_azure.yaml", {"azure_pool": AZURE_POOLS[values.contract]})
        if values.cloud == "azure"
        else "",
        "azure_env": render("azure_env.yaml", {}) if values.cloud == "azure" else "",
        "azure_secret_env": render("azure_secret_env.yaml", {}) if values.contract == "documented" else "",
        "forwarder_repository": values.image_repository,
        "celery_broker_type": broker,
        "broker_name": BROKER_NAMES[broker],
        "autoscaler": AUTOSCALERS[values.contract].format(celery_broker_type=broker, fullname=values.fullname),
        # GCP is taken to have no other broker.
        "celery_broker_type_redis": "celery_broker_type_redis: true" if broker == "redis" else "",
        "celery_forwarder_options": FORWARDER_OPTIONS.get(broker, ""),
        "image_cache_devices": json.dumps(image_cache_devices(values.gpu_tolerations)),
        "gpu_resource": values.gpu_resource,
        "gpu_tolerations": json.dumps(values.gpu_tolerations),
        "all_gpu_tolerations": json.dumps(
            [{"key": values.gpu_resource, "operator": "Exists", "effect": "NoSchedule"}, *values.gpu_tolerations]
        ),
    }
    if values.patched and values.cloud == "gcp":
        words["celery_forwarder_options"] = "- --backend-protocol\n- redis"
    for name in ("redis_env", f"aws_config_{values.cloud}", f"cloud_env_{values.cloud}"):
        words[name] = render(f"{name}.yaml", words)
    words["aws_config"], words["cloud_env"] = words[f"aws_config_{values.cloud}"], words[f"cloud_env_{values.cloud}"]
    if broker != "redis":
        words["redis_env"] = ""
    words["celery_forwarder_env"] = (
        words["azure_env"] + words["cloud_env"] if broker == "servicebus" else words["redis_env"]
    )
    for name in ("launch_config", "infra_config", "extra_env"):
        words[name] = render(f"{name}.yaml", words)
        words[f"{name}_json"] = json.dumps(parse(words[name]))
    words["plain_env"] = render("env.yaml", words)
    words["inference_frameworks"] = json.dumps(default_values()["inferenceFramework"] | {"vllm": values.vllm_tag})
    for name in ("labels", "endpoint_labels", "env", "volumes", "volume_mounts"):
        words[name] = json.dumps(parse(render(f"{name}.yaml", words)))
    for name in WORKLOADS[values.contract]:
        own = {"app": words[name], "tags.datadoghq.com/service": words[name]}
        words[f"{name}_labels"] = json.dumps(own | json.loads(words["labels"]))
    own = {"app": words["autoscaler"], "tags.datadoghq.com/service": words["autoscaler"], "product": "common"}
    base = {name: value for name, value in json.loads(words["labels"]).items() if name not in CHART_LABELS}
    words["autoscaler_labels"] = json.dumps(base | own)
    words["migration_labels"] = json.dumps({"sidecar.istio.io/inject": "false"} | json.loads(words["labels"]))
    for name in ("forwarder_env", "forwarder_volume_mounts", "http_forwarder_rest"):
        words[name] = render(f"{name}.yaml", words)
    none = {"gpu_scheduling": "", "gpu_request": ""}
    for kind in ENDPOINT_TYPES:
        words[f"deployment_{kind}"] = json.dumps(endpoint_deployment(kind, words | none))
    gpus = {
        "gpu_scheduling": render("gpu_scheduling.yaml", words),
        "gpu_request": f"{values.gpu_resource}: ${{GPUS}}, ",
    }
    words["deployment_streaming_gpu"] = json.dumps(endpoint_deployment("streaming", words | gpus))
    for device in image_cache_devices(values.gpu_tolerations):
        own = {name: json.dumps(device[key]) for name, key in DEVICE_WORDS.items()}
        words[f"image_cache_{device['name']}"] = json.dumps(render("image_cache.yaml", words | own))
    return words


def role_annotations(cloud: str, role: str) -> dict[str, str]:
    """Of a service account that takes `role` in the cloud; none on-prem."""
    annotation, value = ROLES.get(cloud, ("", ""))
    return {annotation: value.format(role=role)} if annotation else {}


def image_cache_devices(more: tuple[Object, ...]) -> list[Object]:
    """``imageCache.devices`` of the values; `more`: tolerations beside the usual."""
    return [
        {"name": name, "nodeSelector": selector, "tolerations": [] if name == "cpu" else [*GPU_TOLERATIONS, *more]}
        for name, selector in IMAGE_CACHES.items()
    ]


def endpoint_deployment(kind: str, words: dict[str, str]) -> str:
    """The template of the Deployments of one type of endpoints. `kind`: a key of `ENDPOINT_TYPES`."""
    own = ENDPOINT_TYPES[kind]
    labels = {"app": "${RESOURCE_NAME}", "version": "v1", **own["pod_labels"]} | json.loads(words["endpoint_labels"])
    annotations = parse(render("async_annotations.yaml", words)) if kind == "async" else {}
    words = words | {
        "forwarder": render(f"forwarder_{kind}.yaml", words),
        "endpoint_pod_labels": json.dumps(labels),
        "endpoint_annotations": json.dumps(annotations),
        **{name: own[name] for name in ("grace_period", "proxy_annotation")},
    }
    return render("endpoint_deployment.yaml", words)


def render(file: str, words: dict[str, str]) -> str:
    """One file of the chart with its ``{{ names }}`` filled in; KeyError for a name that does not exist.

    A name that has a line for itself may stand for several lines, or none.
    """
    text = re.sub(
        r"^( *)\{\{ (\w+) \}\}\n",
        lambda match: textwrap.indent(words[match[2]].rstrip("\n") + "\n", match[1]) if words[match[2]] else "",
        (CHART / file).read_text(),
        flags=re.MULTILINE,
    )
    return re.sub(r"\{\{ (\w+) \}\}", lambda match: words[match[1]], text)
