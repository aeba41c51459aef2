"""What a release is configured to be, by the product's own rules."""

from __future__ import annotations

import pytest

from seatrial.mask import masked
from seatrial.model_engine import images
from seatrial.model_engine.configuration import Configuration, Redis


@pytest.mark.parametrize(
    ("infra", "broker"),
    [
        ({}, "sqs"),
        ({"cloud_provider": "aws"}, "sqs"),
        ({"cloud_provider": "aws", "celery_broker_type_redis": True}, "redis"),
        ({"cloud_provider": "aws", "celery_broker_type_redis": "true"}, "redis"),
        ({"cloud_provider": "aws", "celery_broker_type_redis": None}, "sqs"),
        ({"cloud_provider": "azure"}, "servicebus"),
        ({"cloud_provider": "gcp"}, "redis"),
        ({"cloud_provider": "onprem"}, "redis"),
    ],
)
def test_the_broker_goes_by_the_cloud_and_a_switch(infra: dict[str, object], broker: str) -> None:
    assert Configuration(infra=infra).broker == broker


def test_the_cache_is_the_clouds_own() -> None:
    launch = {"cache_redis_aws_url": "redis://aws:1/15", "cache_redis_onprem_url": "rediss://onprem/15"}
    assert Configuration(launch, {"cloud_provider": "aws"}).cache_redis == Redis(
        "aws", 1, "redis://aws:1/15", "cache_redis_aws_url"
    )
    found = Configuration(launch, {"cloud_provider": "onprem"}).cache_redis
    assert found is not None
    assert (found.at, found.key, found.secret) == ("onprem:6379", "cache_redis_onprem_url", False)
    assert Configuration({"cache_redis_aws_secret_name": "prod/redis"}).cache_redis is None
    assert Configuration({"cache_redis_aws_secret_name": "prod/redis"}).cache_secret == "prod/redis"


def test_a_password_in_an_address_is_seen_nowhere() -> None:
    found = Redis.parsed("redis://:swordfish-of-the-cache@cache:6380/15")
    assert found is not None
    assert found.secret
    assert "swordfish" not in repr(found) + masked("it said swordfish-of-the-cache")


def test_a_bare_repository_gets_the_prefix() -> None:
    infra = {"docker_repo_prefix": "registry.example/x"}
    assert Configuration({"vllm_repository": "mirror/vllm"}, infra).vllm_repository == "registry.example/x/mirror/vllm"
    whole = "registry.example:5000/vllm"
    assert Configuration({"vllm_repository": whole}, infra).vllm_repository == whole
    assert Configuration({}, infra).vllm_repository == ""


def test_the_redis_broker_goes_by_the_pods_variables() -> None:
    infra = {"redis_host": "broker"}
    found = [Configuration(infra=infra).broker_redis(env) for env in ({}, {"REDIS_HOST": "own", "REDIS_PORT": "7"})]
    assert [one.at for one in found if one] == ["broker:6379", "own:7"]
    assert Configuration().broker_redis({}) is None


def test_what_the_values_say() -> None:
    values = {
        "tag": "1.9",
        "serviceIdentifier": "blue",
        "image": {"gatewayRepository": "registry.example/model-engine"},
        "imagePullSecrets": [{"name": "mirror"}, "other"],
        "config": {"values": {"launch": {"endpoint_namespace": "models"}, "infra": {"cloud_provider": "gcp"}}},
    }
    found = Configuration.of_values(values, "values.yaml (--values)")
    assert (found.cloud, found.endpoint_namespace, found.fullname) == ("gcp", "models", "model-engine-blue")
    assert (found.image("gateway"), found.image("builder")) == ("registry.example/model-engine:1.9", "")
    assert found.pull_secrets == ("mirror", "other")
    assert found.builder_queue == "model-engine-blue-service-builder"
    assert found.endpoint_service_account == "model-engine-blue"


@pytest.mark.parametrize(
    ("image", "doubt"),
    [
        ("public.ecr.aws/vendor/model-engine:1", "the public ECR"),
        ("210987654321.dkr.ecr.us-west-2.amazonaws.com/vllm:1", "the ECR of another account"),
        ("123456789012.dkr.ecr.us-west-2.amazonaws.com/vllm:1", ""),
        ("registry.example/vllm:1", ""),
    ],
)
def test_a_registry_that_is_not_the_users_own(image: str, doubt: str) -> None:
    assert images.foreign(image, "123456789012").startswith(doubt)
    assert bool(images.foreign(image, "123456789012")) == bool(doubt)


def test_images_from_elsewhere() -> None:
    found = [
        "nginx:1",
        "vendor/app",
        "registry.example/a/b:1",
        "registry.example:5000/a/b:1",
        "registry.example.org/a:1",
    ]
    assert images.elsewhere(found, ["registry.example"]) == sorted(set(found) - {"registry.example/a/b:1"})
    assert images.elsewhere(found, ["docker.io/library", "registry.example/a/"]) == [
        "registry.example.org/a:1",
        "registry.example:5000/a/b:1",
        "vendor/app",
    ]


def test_a_pull_secret_that_the_chart_names_is_not_the_users() -> None:
    found = Configuration.of_values({"azure": {"client_id": "x"}, "imagePullSecrets": [{"name": "mirror"}]}, "")
    assert found.named_pull_secrets == ("mirror",)
    assert found.pull_secrets == ("mirror", "egp-ecr-regcred")
