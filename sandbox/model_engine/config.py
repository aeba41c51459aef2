"""What the chart mounts into the product's containers: the two service configs and the endpoint templates."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
SERVICE_BUILDER_QUEUE = "model-engine-service-builder"
PATCHED = "-patched"  # ends the tag of an image with the mends
UNFIXED = "-unfixed"  # ends the tag of one from before the product kept its connections to Service Bus alive
# The broker's Redis has a database for each visibility timeout; one more is for results.
ONE_HOUR_DATABASE, RESULTS_DATABASE, ONE_DAY_DATABASE = 0, 1, 3
BUILD_ENDPOINT_TASK = "model_engine_server.service_builder.tasks_v1.build_endpoint"


def parse(text: str) -> Any:
    """YAML, several times faster where PyYAML came with its C part."""
    return yaml.load(text, Loader=LOADER)


def mounted(path: str) -> Path:
    """The file that this container has at `path`: a pod of the sandbox has its own directory for a root."""
    return Path(os.environ.get("POD_ROOT", "") + path)


def service_config() -> dict[str, Any]:
    """`launch_service_config`: ``endpoint_namespace``, ``cache_redis_aws_url`` and so on."""
    return dict(parse(mounted(os.environ["DEPLOY_SERVICE_CONFIG_PATH"]).read_text()))


def infra_config() -> dict[str, Any]:
    """`infra_service_config`: ``cloud_provider``, ``docker_repo_prefix``, ``s3_bucket`` and so on."""
    return dict(parse(mounted(os.environ["ML_INFRA_SERVICES_CONFIG_PATH"]).read_text()))


def full_repository(repository: str) -> str:
    """A repository without a registry is one of the deployment's own."""
    own = "." not in repository.partition("/")[0]
    return f"{infra_config()['docker_repo_prefix']}/{repository}" if own else repository


def cloud() -> str:
    """``aws``, ``azure``, ``gcp`` or ``onprem``."""
    return str(infra_config()["cloud_provider"])


def patched() -> bool:
    """Whether this image has what the released one lacks: see `sandbox.words`."""
    return os.environ.get("DD_VERSION", "").endswith(PATCHED)


def unfixed() -> bool:
    """Whether this image is one whose idle connections to Service Bus are lost, and the next task with them."""
    return os.environ["DD_VERSION"].endswith(UNFIXED)


def aws_session() -> str | None:
    """What stands for boto3's session, a profile's name: the released product makes one on AWS only."""
    return str(infra_config()["profile_ml_worker"]) if cloud() == "aws" or patched() else None


def redis_host() -> str:
    """Host and port of the broker's Redis: from the environment, else as configured."""
    host, port = os.environ.get("REDIS_HOST"), os.environ.get("REDIS_PORT")
    return f"{host}:{port}" if host and port else f"{infra_config()['redis_host']}:6379"


def broker_redis_url(database: int) -> str:
    """One database of the broker's Redis."""
    return f"redis://{redis_host()}/{database}"


def cache_redis_url() -> str:
    """The Redis that builder and cacher write to and the gateway reads."""
    launch = service_config()
    # This one holds on every cloud. On Azure the other way, a token of Entra ID for a password, is not part of the
    # sandbox.
    return str(launch.get("cache_redis_onprem_url") or launch[f"cache_redis_{cloud()}_url"])


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
