"""What the sandbox's chart installs carries the names, labels and settings by which the product is recognised."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import yaml

from sandbox.model_engine import chart

VALUES: dict[str, Any] = {
    "database_url": "postgresql://postgres:secret@127.2.0.1:5432/postgres",
    "redis_url": "redis://127.2.0.1:6380/0",
    "sqs_url": "http://127.2.0.1:1",
    "s3_url": "http://127.2.0.1:2",
}
NAMES = {
    ("released", "model-engine"): ("model-engine", "model-engine-endpoint-builder", "model-engine-cacher"),
    ("released", "launch"): ("launch", "launch-endpoint-builder", "launch-cacher"),
    ("documented", "model-engine"): ("model-engine-gateway", "model-engine-builder", "model-engine-cacher"),
    ("documented", "launch"): ("launch-gateway", "launch-builder", "launch-cacher"),
}
ARGUMENTS = ("start_fastapi_server", "--app=model_engine_server.service_builder", "entrypoints.k8s_cache")


def named(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """The objects of one kind by name; of two namespaces the last."""
    return {obj["metadata"]["name"]: obj for obj in objects if obj["kind"] == kind}


@pytest.mark.parametrize(("contract", "fullname"), NAMES)
def test_workloads(contract: str, fullname: str) -> None:
    values = chart.Values(**VALUES, contract=contract, fullname=fullname)
    objects = chart.objects(contract, values)
    deployments = named(objects, "Deployment")
    assert tuple(deployments) == NAMES[contract, fullname]
    (programs,) = (image["programs"] for image in chart.images(values).values())
    for (name, deployment), argument in zip(deployments.items(), ARGUMENTS, strict=True):
        pod = deployment["spec"]["template"]
        assert pod["metadata"]["labels"]["app"] == name
        assert pod["metadata"]["labels"]["product"] == "model-engine"
        assert pod["metadata"]["labels"]["helm.sh/chart"] == "model-engine-0.2.7"
        (container,) = pod["spec"]["containers"]
        assert container["image"] in chart.images(values)
        assert any(argument in word for word in container["args"])
        assert any(module in word for word in container["args"] for module in programs)
    (gateway, *_) = NAMES[contract, fullname]
    assert set(named(objects, "Service")) == {fullname}
    assert set(named(objects, "HorizontalPodAutoscaler")) == {gateway}
    assert (f"{fullname}-config" in named(objects, "ConfigMap")) is (contract == "documented")


def test_configuration() -> None:
    objects = chart.objects("released", chart.Values(**VALUES))
    where = [
        obj["metadata"]["namespace"] for obj in objects if obj["metadata"]["name"] == "model-engine-service-config"
    ]
    assert where == ["model-engine", "model-engine-endpoints"]
    data = named(objects, "ConfigMap")["model-engine-service-config"]["data"]
    launch, infra = (yaml.safe_load(data[f"{name}_service_config"]) for name in ("launch", "infra"))
    assert launch["endpoint_namespace"] == "model-engine-endpoints"
    assert launch["cache_redis_aws_url"] == "redis://127.2.0.1:6380/15"
    assert (infra["cloud_provider"], infra["docker_repo_prefix"]) == ("aws", "registry.local")
    secret = named(objects, "Secret")["model-engine-postgres-credentials"]
    assert base64.b64decode(secret["data"]["database_url"]).decode() == VALUES["database_url"]
