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

CHART = Path(__file__).with_name("chart")

# What each contract calls the workloads; their label `app` is their name.
WORKLOADS = {
    "released": {"gateway": "{}", "builder": "{}-endpoint-builder", "cacher": "{}-cacher"},
    "documented": {"gateway": "{}-gateway", "builder": "{}-builder", "cacher": "{}-cacher"},
}
# In install order. A file that is rendered twice goes to two namespaces: its `config_namespace`.
COMMON = (
    ("namespaces.yaml", ""),
    ("database_secret.yaml", ""),
    ("priority_classes.yaml", ""),
    ("service_accounts.yaml", ""),
    ("service_config.yaml", "namespace"),
    ("service_config.yaml", "endpoint_namespace"),
    ("aws_config.yaml", "namespace"),
    ("aws_config.yaml", "endpoint_namespace"),
    ("service_template_config.yaml", ""),
)
FILES = {
    "released": (*COMMON, ("gateway.yaml", ""), ("builder.yaml", ""), ("cacher.yaml", "")),
    "documented": (
        *COMMON,
        ("documented_config.yaml", ""),
        ("gateway.yaml", ""),
        ("builder.yaml", ""),
        ("cacher.yaml", ""),
    ),
}
GATEWAYS = {"released": "sandbox.model_engine.gateway", "documented": "sandbox.model_engine.documented_gateway"}
PROGRAMS = {
    "--app=model_engine_server.service_builder": "--app=sandbox.model_engine.builder",
    "model_engine_server.entrypoints.k8s_cache": "sandbox.model_engine.cacher",
    "model_engine_server.inference.forwarding.http_forwarder": "sandbox.model_engine.http_forwarder",
    "model_engine_server.inference.forwarding.celery_forwarder": "sandbox.model_engine.celery_forwarder",
    "model_engine_server.inference.forwarding.echo_server": "sandbox.model_engine.echo",
}

# What the templates of the three types of endpoints do not share.
PROXY = 'sidecar.istio.io/holdApplicationUntilProxyStarts: "true"'
ENDPOINT_TYPES: dict[str, dict[str, Any]] = {
    "sync": {"grace_period": "600", "proxy_annotation": PROXY, "pod_labels": {}},
    "streaming": {"grace_period": "600", "proxy_annotation": PROXY, "pod_labels": {}},
    "async": {"grace_period": "1800", "proxy_annotation": "", "pod_labels": {"sidecar.istio.io/inject": "false"}},
}
BROKER_NAMES = {"sqs": "sqs-message-broker-master", "redis": "redis-elasticache-message-broker-master"}

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
    image_tag: str = "a82369619a365b79a45e49ef6af1045653102615"
    contract: str = "released"
    context: str = "sandbox"


def objects(contract: str, values: Values) -> list[Object]:
    """What an install creates, in its order. `contract`: ``released`` or ``documented``."""
    words = substitutions(contract, values)
    found: list[Object] = []
    for file, config_namespace in FILES[contract]:
        text = render(file, words | {"config_namespace": words.get(config_namespace, "")})
        found += yaml.safe_load_all(text)
    return found


def images(values: Values) -> dict[str, Any]:
    """The release's image for ``images.json``: which local program each module of the product stands for."""
    gateway = {"model_engine_server.entrypoints.start_fastapi_server": GATEWAYS[values.contract]}
    reference = f"{values.image_repository}:{values.image_tag}"
    return {reference: {"id": f"sha256:{values.image_tag:0>64}", "programs": gateway | PROGRAMS}}


def substitutions(contract: str, values: Values) -> dict[str, str]:
    """What stands for each ``{{ name }}`` of the files; blocks as JSON, which is YAML on one line."""
    redis = urlsplit(values.redis_url)
    words = {
        **asdict(values),
        **{name: pattern.format(values.fullname) for name, pattern in WORKLOADS[contract].items()},
        "database_url_base64": base64.b64encode(values.database_url.encode()).decode(),
        "image": f"{values.image_repository}:{values.image_tag}",
        "docker_repo_prefix": values.image_repository.rpartition("/")[0],
        "redis_host": str(redis.hostname),
        "cache_redis_url": redis._replace(path="/15").geturl(),
        "forwarder_repository": values.image_repository,
        "celery_broker_type": "sqs",
        "broker_name": BROKER_NAMES["sqs"],
        "celery_forwarder_options": '- --sqs-url\n- "${SQS_QUEUE_URL}"',
        "celery_forwarder_env": "",
    }
    for name in ("labels", "endpoint_labels", "env", "volumes", "volume_mounts"):
        words[name] = json.dumps(yaml.safe_load(render(f"{name}.yaml", words)))
    for name in WORKLOADS[contract]:
        own = {"app": words[name], "tags.datadoghq.com/service": words[name]}
        words[f"{name}_labels"] = json.dumps(own | json.loads(words["labels"]))
    for name in ("forwarder_env", "forwarder_volume_mounts", "http_forwarder_rest"):
        words[name] = render(f"{name}.yaml", words)
    for kind in ENDPOINT_TYPES:
        words[f"deployment_{kind}"] = json.dumps(endpoint_deployment(kind, words))
    return words


def endpoint_deployment(kind: str, words: dict[str, str]) -> str:
    """The template of the Deployments of one type of endpoints. `kind`: a key of `ENDPOINT_TYPES`."""
    own = ENDPOINT_TYPES[kind]
    labels = {"app": "${RESOURCE_NAME}", "version": "v1", **own["pod_labels"]} | json.loads(words["endpoint_labels"])
    annotations = yaml.safe_load(render("async_annotations.yaml", words)) if kind == "async" else {}
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
