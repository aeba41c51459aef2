"""DaemonSets that keep images on the nodes, so that endpoints start sooner: the cacher sees to them in each loop."""

from __future__ import annotations

import hashlib
import os
import string
from typing import Any

from sandbox.client import ApiError, Client
from sandbox.model_engine import config
from sandbox.model_engine.loggers import make_logger

COLLECTION = "/apis/apps/v1/namespaces/{namespace}/daemonsets"
DEVICES = ("cpu", "a10", "a100", "t4", "h100", "h100-1g20gb", "h100-3g40gb")
ISTIO = "gcr.io/istio-release/proxyv2:1.15.0"
# Of the deployment's registry, as the product has them for every device but the first.
LLM = ("text-generation-inference:1.1.0", "vllm:0.2.7", "vllm:0.3.2", "{batch}:latest")
LOOP = ["/bin/sh", "-ec", "while : ; do sleep 30 ; done"]

logger = make_logger("model_engine_server.infra.gateways.resources.image_cache_gateway")

Object = dict[str, Any]


def wanted(device: str) -> list[str]:
    """The images of one device's cache. NotImplementedError on-prem, as released: its registry tells no tags."""
    if config.cloud() == "onprem" and not config.patched():
        raise NotImplementedError(
            "OnPremDockerRepository does not support querying latest image tags. "
            "Please specify explicit image tags in your deployment configuration."
        )
    prefix = config.infra_config()["docker_repo_prefix"]
    batch = config.service_config()["batch_inference_vllm_repository"]
    own = () if device == "cpu" else (image.format(batch=batch) for image in LLM)
    return [ISTIO, *(f"{prefix}/{image}" for image in (*own, f"model-engine:{os.environ['GIT_TAG']}"))]


async def update(kubernetes: Client) -> None:
    """Create what is missing. ApiError."""
    images = {device: wanted(device) for device in DEVICES}
    collection = COLLECTION.format(namespace=config.service_config()["endpoint_namespace"])
    for device in DEVICES:
        name = f"launch-image-cache-{device}"
        try:
            daemon_set = template(device, name)
        except FileNotFoundError:
            logger.info(f"Didn't find yaml for {device}, skipping")
            continue
        pod = daemon_set["spec"]["template"]
        for image in images[device]:
            digest = hashlib.md5(image.encode(), usedforsecurity=False).hexdigest()
            pod["metadata"]["labels"][digest] = "True"
            container = {"name": digest, "image": image, "imagePullPolicy": "IfNotPresent", "command": LOOP}
            pod["spec"]["containers"].append(container)
        try:
            await kubernetes.create(collection, daemon_set)
            logger.info(f"Created image cache daemonset {name}")
        except ApiError as error:
            if error.status != 409:
                logger.exception(f"Got an exception when trying to apply the image cache {name} daemonset")
                raise
            logger.info(f"Image cache {name} has not changed, not updating")


def template(device: str, name: str) -> Object:
    """The DaemonSet without its images. FileNotFoundError where the chart has none for the device."""
    values = {"RESOURCE_NAME": name, "NAMESPACE": config.service_config()["endpoint_namespace"]}
    return dict(config.parse(string.Template(config.template(f"image-cache-{device}.yaml")).substitute(values)))
