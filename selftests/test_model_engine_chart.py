"""What the sandbox's chart installs carries the names, labels and settings by which the product is recognised."""

from __future__ import annotations

import base64
import collections
import gzip
import json
import string
from typing import Any

import pytest
import yaml

from sandbox import words
from sandbox.model_engine import chart, helm

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
ARGUMENTS = (
    *("start_fastapi_server", "--app=model_engine_server.service_builder", "entrypoints.k8s_cache"),
    "celery.celery_autoscaler",
)


def named(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """The objects of one kind by name; of two namespaces the last."""
    return {obj["metadata"]["name"]: obj for obj in objects if obj["kind"] == kind}


@pytest.mark.parametrize(("contract", "fullname"), NAMES)
def test_workloads(contract: str, fullname: str) -> None:
    values = chart.Values(**VALUES, contract=contract, fullname=fullname)
    objects = chart.objects(values)
    deployments = named(objects, "Deployment")
    assert tuple(deployments) == NAMES[contract, fullname]
    autoscaler = {"released": "celery-autoscaler-sqs", "documented": f"{fullname}-celery-autoscaler"}[contract]
    assert set(named(objects, "StatefulSet")) == {autoscaler}
    assert set(named(objects, "Job")) == {f"{fullname}-database-migration-1"}
    assert f"{fullname}-inference-framework-latest-config" in named(objects, "ConfigMap")
    assert f"{fullname}-high-priority" in named(objects, "PriorityClass")
    programs = chart.images(values)[values.image]["programs"]
    deployments |= named(objects, "StatefulSet")
    for (name, deployment), argument in zip(deployments.items(), ARGUMENTS, strict=True):
        pod = deployment["spec"]["template"]
        assert pod["metadata"]["labels"]["app"] == name
        autoscaler = deployment["kind"] == "StatefulSet"
        assert pod["metadata"]["labels"]["product"] == ("common" if autoscaler else "model-engine")
        assert ("helm.sh/chart" in pod["metadata"]["labels"]) is not autoscaler
        (container,) = pod["spec"]["containers"]
        assert container["image"] in chart.images(values)
        assert any(argument in word for word in container["args"])
        assert any(module in word for word in container["args"] for module in programs)
    (gateway, *_) = NAMES[contract, fullname]
    assert set(named(objects, "Service")) == {fullname}
    assert set(named(objects, "HorizontalPodAutoscaler")) == {gateway}
    assert (f"{fullname}-config" in named(objects, "ConfigMap")) is (contract == "documented")


def test_configuration() -> None:
    objects = chart.objects(chart.Values(**VALUES))
    where = [
        obj["metadata"]["namespace"] for obj in objects if obj["metadata"]["name"] == "model-engine-service-config"
    ]
    assert where == ["model-engine", "model-engine-endpoints"]
    data = named(objects, "ConfigMap")["model-engine-service-config"]["data"]
    launch, infra = (yaml.safe_load(data[f"{name}_service_config"]) for name in ("launch", "infra"))
    assert launch["endpoint_namespace"] == "model-engine-endpoints"
    assert launch["cache_redis_aws_url"] == "redis://127.2.0.1:6380/15"
    assert (infra["cloud_provider"], infra["docker_repo_prefix"]) == ("aws", "registry.local")
    secret = named(chart.surroundings(chart.Values(**VALUES)), "Secret")["model-engine-postgres-credentials"]
    assert base64.b64decode(secret["data"]["database_url"]).decode() == VALUES["database_url"]


@pytest.mark.parametrize(
    ("cloud", "redis_broker", "patched", "key", "redis_environment"),
    [
        ("aws", False, False, "cache_redis_aws_url", False),
        ("aws", True, False, "cache_redis_aws_url", True),
        ("gcp", True, True, "cache_redis_gcp_url", True),
        ("onprem", True, False, "cache_redis_onprem_url", True),
    ],
)
def test_clouds_and_brokers(cloud: str, redis_broker: bool, patched: bool, key: str, redis_environment: bool) -> None:
    values = chart.Values(**VALUES, cloud=cloud, redis_broker=redis_broker, patched=patched)
    objects = chart.objects(values)
    data = named(objects, "ConfigMap")["model-engine-service-config"]["data"]
    launch, infra = (yaml.safe_load(data[f"{name}_service_config"]) for name in ("launch", "infra"))
    assert (infra["cloud_provider"], infra.get("celery_broker_type_redis", False)) == (cloud, redis_broker)
    assert launch[key] == "redis://127.2.0.1:6380/15"
    templates = named(objects, "ConfigMap")["model-engine-service-template-config"]["data"]
    broker = "redis" if redis_broker else "sqs"
    template = templates["deployment-runnable-image-async-cpu.yaml"]
    (autoscaler,) = named(objects, "StatefulSet")
    assert autoscaler == f"celery-autoscaler-{broker}"
    filled = string.Template(template).substitute(collections.defaultdict(lambda: "1"))
    command = yaml.safe_load(filled)["spec"]["template"]["spec"]["containers"][0]["command"]
    assert command[command.index("--broker-type") + 1] == broker
    assert ("--sqs-url" in command) is (broker == "sqs")
    assert ("REDIS_HOST" in template) is redis_environment
    assert ("--backend-protocol" in command) is (cloud == "gcp" and patched)
    gateway = named(objects, "Deployment")["model-engine"]["spec"]["template"]["spec"]["containers"][0]
    assert gateway["image"].endswith("-patched") is patched
    names = {pair["name"] for pair in gateway["env"]}
    assert ("REDIS_PORT" in names) is redis_environment
    assert ("AWS_ENDPOINT_URL_SQS" in names) is (cloud == "aws")


def test_the_values_file_and_helm_s_secret_say_the_same() -> None:
    values = chart.Values(**VALUES, gateways=3)
    given = yaml.safe_load(chart.user_values(values))
    data = named(chart.objects(values), "ConfigMap")["model-engine-service-config"]["data"]
    for name in ("launch", "infra"):
        assert given["config"]["values"][name] == yaml.safe_load(data[f"{name}_service_config"])
    secret = helm.release_secret(values)
    assert secret["metadata"]["labels"] == {
        "name": "model-engine",
        "owner": "helm",
        "status": "deployed",
        "version": "1",
    }
    text = base64.b64decode(base64.b64decode(secret["data"]["release"]))
    release = json.loads(gzip.decompress(text))
    assert (release["config"], release["info"]["status"], release["version"]) == (given, "deployed", 1)
    assert release["chart"]["values"]["inferenceFramework"]["vllm"] == "latest"
    frameworks = named(chart.objects(values), "ConfigMap")["model-engine-inference-framework-latest-config"]["data"]
    assert frameworks["vllm"] == given["inferenceFramework"]["vllm"] == values.vllm_image.rpartition(":")[2]


@pytest.mark.parametrize(
    ("said", "cloud", "redis_broker", "lacking", "never_up"),
    [
        ((), "aws", False, "", ()),
        (("aws", "documented"), "aws", False, "", ()),
        (("redis-broker",), "aws", True, "redis-broker", ()),
        (("redis-broker", "patched"), "aws", True, "", ()),
        (("gcp",), "gcp", True, "gcp", ()),
        (("onprem", "empty"), "onprem", True, "onprem", ("builder", "cacher")),
        (("onprem", "patched"), "onprem", True, "", ()),
    ],
)
def test_what_the_words_come_to(
    said: tuple[str, ...], cloud: str, redis_broker: bool, lacking: str, never_up: tuple[str, ...]
) -> None:
    meant = words.meaning(said)
    assert (meant.cloud, meant.redis_broker, meant.lacking, meant.never_up) == (cloud, redis_broker, lacking, never_up)
    assert meant.empty is ("empty" in said)
