"""What the chart mounts into the product's containers: the two service configs and the endpoint templates."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

SERVICE_BUILDER_QUEUE = "model-engine-service-builder"
BUILD_ENDPOINT_TASK = "model_engine_server.service_builder.tasks_v1.build_endpoint"


def mounted(path: str) -> Path:
    """The file that this container has at `path`: a pod of the sandbox has its own directory for a root."""
    return Path(os.environ.get("POD_ROOT", "") + path)


def service_config() -> dict[str, Any]:
    """`launch_service_config`: ``endpoint_namespace``, ``cache_redis_aws_url`` and so on."""
    return dict(yaml.safe_load(mounted(os.environ["DEPLOY_SERVICE_CONFIG_PATH"]).read_text()))


def infra_config() -> dict[str, Any]:
    """`infra_service_config`: ``cloud_provider``, ``docker_repo_prefix``, ``s3_bucket`` and so on."""
    return dict(yaml.safe_load(mounted(os.environ["ML_INFRA_SERVICES_CONFIG_PATH"]).read_text()))


def template(name: str) -> str:
    """One key of the service-template ConfigMap, e.g. ``service.yaml``; FileNotFoundError when it has none."""
    return mounted(f"{os.environ['LAUNCH_SERVICE_TEMPLATE_FOLDER']}/{name}").read_text()


def database_url() -> str:
    """``postgresql://`` address, from the Secret that the chart is given."""
    return os.environ["ML_INFRA_DATABASE_URL"]


def write_readyz() -> None:
    """Write the file that the readiness probes of builder and cacher look for."""
    path = mounted("/tmp/readyz")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("READY")
