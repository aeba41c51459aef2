"""What a release is configured to be: by its ConfigMap or, before an install, by the values.

Nothing here asks a network, beyond reading the ConfigMap. Which rules hold is the product's own code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import yaml

from seatrial import config_maps
from seatrial.kube import Kube, Object
from seatrial.mask import hide
from seatrial.verdict import Blocked, Refused

LAUNCH, INFRA = "launch_service_config", "infra_service_config"
"""Keys of the release's ConfigMap."""
CACHE_URLS = {"onprem": "cache_redis_onprem_url", "gcp": "cache_redis_gcp_url", "aws": "cache_redis_aws_url"}
"""The cache's address by cloud, as `launch` has it."""
BUILDER_QUEUE = "model-engine-service-builder"
SQS, REDIS, SERVICE_BUS = "sqs", "redis", "servicebus"
BROKER_DATABASES = (0, 1, 3)
"""Of a Redis broker: builds, and the gateway's tasks of an hour; results; the forwarders' tasks of a day."""
DEFAULT_SQS_REGION = "us-west-2"
"""Where the product looks for SQS without AWS_REGION in its environment, whatever `default_region` says."""
_BARE = re.compile(r"[a-z0-9\-_/]*")
"""A repository that the product puts `docker_repo_prefix` before; anything else is taken as it is."""
_TRUE = ("true", "1", "yes")


@dataclass(frozen=True)
class Redis:
    """An address of Redis without its credentials; `key` is where in the launch config it stands, "" for elsewhere."""

    host: str
    port: int
    url: str = field(repr=False)
    key: str = ""

    @property
    def at(self) -> str:
        """As messages and causes name it."""
        return f"{self.host}:{self.port}"

    @property
    def secret(self) -> bool:
        """Whether a password is in the URL."""
        return bool(urlsplit(self.url).password)

    @classmethod
    def parsed(cls, url: str, key: str = "") -> Redis | None:
        """The address in `url`, its password hidden from now on; None if it is no URL."""
        try:
            parts = urlsplit(url if "//" in url else f"redis://{url}")
            host, port = parts.hostname, parts.port or 6379
        except ValueError:
            return None
        if parts.password:
            hide(parts.password)
        return cls(host, port, parts.geturl(), key) if host else None


@dataclass(frozen=True)
class Configuration:
    """`launch` and `infra` as the product reads them; `source` names the object or the files they are from.

    `config_map` is the release's (its name; "" before an install), `values` the chart's values where they are known.
    `refused`: why nobody knows: we may not look, or the ConfigMap does not hold it.
    """

    launch: Mapping[str, Any] = field(default_factory=dict, repr=False)
    infra: Mapping[str, Any] = field(default_factory=dict, repr=False)
    source: str = ""
    config_map: str = ""
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    refused: Refused | Blocked | None = None

    @classmethod
    def of_release(cls, kube: Kube, gateway: Object, values: Mapping[str, Any] | None = None) -> Configuration:
        """From the ConfigMap that the gateway's Deployment mounts. AssertionError for one that is no YAML.

        Empty, with `refused`, where we may not read it, or it lacks what the Deployment wants of it: what the product
        takes for granted where nothing is said is not the release's.
        """
        namespace = gateway["metadata"]["namespace"]
        for name, wanted in _mounted(gateway).items():
            try:
                data = config_maps.data(kube, namespace, name)
            except Refused as error:
                return cls(values=values or {}, refused=error)
            where = f"ConfigMap {namespace}/{name}"
            if wanted and (cause := config_maps.trouble(kube, namespace, name, data, wanted)):
                return cls(values=values or {}, source=where, refused=Blocked(cause))
            if data and (LAUNCH in data or INFRA in data):
                launch, infra = (_mapping(data.get(key, ""), f"{key} in {where}") for key in (LAUNCH, INFRA))
                return cls(launch, infra, where, name, values or {})
        return cls(values=values or {}, source=f"no service configuration in {namespace}")

    @classmethod
    def of_values(cls, values: Mapping[str, Any], source: str) -> Configuration:
        """From the chart's values, merged as helm merges them."""
        config = look(values, "config.values") or {}
        launch, infra = config.get("launch") or {}, config.get("infra") or {}
        return cls(launch, infra, source, "", values)

    def require(self) -> None:
        """Raise `refused` where it is set: for what would go by a default otherwise."""
        if self.refused is not None:
            raise self.refused

    # -- what follows from it --------------------------------------------------------------------------------------

    @property
    def cloud(self) -> str:
        """``aws azure gcp onprem``; the product takes AWS where nothing is said."""
        return str(self.infra.get("cloud_provider") or "aws").lower()

    @property
    def region(self) -> str:
        """`default_region`; the product's SQS goes by AWS_REGION alone."""
        return str(self.infra.get("default_region") or "")

    @property
    def broker(self) -> str:
        """What the builder takes its work from: ``sqs``, ``redis`` or ``servicebus``."""
        if _true(self.infra.get("celery_broker_type_redis")):
            return REDIS
        return {"aws": SQS, "azure": SERVICE_BUS, "gcp": REDIS, "onprem": REDIS}.get(self.cloud, SQS)

    @property
    def cache_redis(self) -> Redis | None:
        """The cache; None where its address is in a cloud's secret, or nowhere."""
        keys = [CACHE_URLS.get(self.cloud, ""), *CACHE_URLS.values()]
        key = next((one for one in keys if self.launch.get(one)), "")
        if key:
            return Redis.parsed(str(self.launch[key]), key)
        azure = self.launch.get("cache_redis_azure_host")
        return Redis.parsed(f"rediss://{azure}") if azure else None

    @property
    def cache_secret(self) -> str:
        """The cloud's secret that holds the cache's address; empty where the configuration has the address itself."""
        return "" if self.cache_redis else str(self.launch.get("cache_redis_aws_secret_name") or "")

    def broker_redis(self, env: Mapping[str, str]) -> Redis | None:
        """The Redis broker: by the variables REDIS_HOST and REDIS_PORT of the pods, else `redis_host`, port 6379."""
        host = env.get("REDIS_HOST") or self.infra.get("redis_host")
        port = env.get("REDIS_PORT") if env.get("REDIS_HOST") else None
        return Redis.parsed(f"redis://{host}:{port or 6379}/0") if host else None

    @property
    def endpoint_namespace(self) -> str:
        """Where endpoints' pods go; empty where nothing is said."""
        return str(self.launch.get("endpoint_namespace") or "")

    @property
    def vllm_repository(self) -> str:
        """The vLLM image without its tag, with the prefix that the product puts before a bare name."""
        name = str(self.launch.get("vllm_repository") or "")
        prefix = str(self.infra.get("docker_repo_prefix") or "")
        return f"{prefix}/{name}" if name and prefix and _BARE.fullmatch(name) else name

    @property
    def endpoint_service_account(self) -> str:
        """Of the endpoints' pods, by the values: `serviceTemplate.serviceAccountName`, else the release's own."""
        return str(look(self.values, "serviceTemplate.serviceAccountName") or self.fullname)

    @property
    def fullname(self) -> str:
        """What the chart calls its objects, by the values."""
        identifier = look(self.values, "serviceIdentifier")
        default = f"model-engine-{identifier}" if identifier else "model-engine"
        return str(look(self.values, "fullnameOverride") or default)[:40].removesuffix("-")

    def image(self, part: str) -> str:
        """The image of ``gateway builder forwarder``, by the values; empty where they do not say. The cacher runs the
        gateway's."""
        repository = look(self.values, f"image.{part}Repository")
        tag = look(self.values, "tag")
        return f"{repository}:{tag}" if repository and tag else ""

    @property
    def named_pull_secrets(self) -> tuple[str, ...]:
        """By the values."""
        given = look(self.values, "imagePullSecrets") or []
        return tuple(filter(None, (one.get("name", "") if isinstance(one, dict) else str(one) for one in given)))

    @property
    def pull_secrets(self) -> tuple[str, ...]:
        """With the one that the chart itself names on Azure: pods go without it, where nobody made it."""
        return (*self.named_pull_secrets, *(["egp-ecr-regcred"] if look(self.values, "azure") else []))

    @property
    def builder_queue(self) -> str:
        """The queue that the builder works off, by the values."""
        return builder_queue(look(self.values, "serviceIdentifier"), look(self.values, "serviceBuilderQueue"))


def builder_queue(identifier: object, named: object) -> str:
    """What the gateway calls the builder's queue, by the chart's `serviceIdentifier` and `serviceBuilderQueue`."""
    return str(named or (f"model-engine-{identifier}-service-builder" if identifier else BUILDER_QUEUE))


def look(values: Mapping[str, Any], path: str) -> Any:
    """What stands at `path` (``config.values.launch``) in the values, or None."""
    found: Any = values
    for key in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(key)
    return found


def _mounted(gateway: Object) -> dict[str, list[str]]:
    """The ConfigMaps that it mounts, and which of the service configuration's keys it wants of each."""
    found: dict[str, list[str]] = {}
    for volume in gateway["spec"]["template"]["spec"].get("volumes") or []:
        if one := volume.get("configMap"):
            keys = [item["key"] for item in one.get("items") or [] if not one.get("optional")]
            found.setdefault(one["name"], []).extend(key for key in keys if key in (LAUNCH, INFRA))
    return found


def _mapping(text: str, where: str) -> Mapping[str, Any]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise AssertionError(f"{where} is no YAML: {' '.join(str(error).split())}") from None
    return found if isinstance(found, dict) else {}


def _true(value: Any) -> bool:
    return str(value).lower() in _TRUE
