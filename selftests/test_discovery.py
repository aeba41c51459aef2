"""Finding a release: by what its containers run, by the documented labels, under any name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seatrial.kube import Kube
from seatrial.model_engine.discovery import autoscaler, discover
from seatrial.resources import CONFIG_MAPS, DEPLOYMENTS, NAMESPACES, SERVICES, STATEFUL_SETS
from seatrial.settings import Settings
from seatrial.verdict import BadSettings, Unhealthy

GATEWAY = ["python", "-m", "model_engine_server.entrypoints.start_fastapi_server"]
BUILDER = ["celery", "--app=model_engine_server.service_builder", "worker"]
ITEMS = [{"key": "launch_service_config", "path": "service_config.yaml"}]
AUTOSCALER = ["ddtrace-run", "python", "-m", "model_engine_server.core.celery.celery_autoscaler"]
CACHER = ["python", "-m", "model_engine_server.entrypoints.k8s_cache"]


@pytest.fixture
def kube(kube: Kube) -> Kube:
    """With one more namespace."""
    kube.create(NAMESPACES, {"metadata": {"name": "other"}})
    return kube


def settings(**given: str) -> Settings:
    return Settings.load({"set": [f"{key}={value}" for key, value in given.items()]}, {}, Path("/"))


def deploy(kube: Kube, name: str, args: list[str], app: str = "", namespace: str = "models", **spec: Any) -> None:
    labels = {"app": app or name}
    container = {
        "name": "main",
        "image": "registry.local:5000/me:1.9@sha256:abc",
        "command": ["dumb-init"],
        "args": args,
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], **spec}}
    body = {
        "metadata": {"name": name, "labels": {"helm.sh/chart": "model-engine-0.2.7"}},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
    }
    kube.create(DEPLOYMENTS, body, namespace)


def serve(kube: Kube, name: str, app: str, namespace: str = "models") -> None:
    body = {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], "selector": {"app": app}}}
    kube.create(SERVICES, body, namespace)


def release(kube: Kube, fullname: str, namespace: str = "models") -> None:
    """The chart's objects, as far as discovery looks at them."""
    config = {"name": "c", "configMap": {"name": f"{fullname}-service-config", "items": ITEMS}}
    deploy(kube, fullname, GATEWAY, namespace=namespace, volumes=[config])
    deploy(kube, f"{fullname}-endpoint-builder", BUILDER, namespace=namespace)
    deploy(kube, f"{fullname}-cacher", CACHER, namespace=namespace)
    serve(kube, fullname, fullname, namespace)
    data = {"launch_service_config": "endpoint_namespace: endpoints\n"}
    kube.create(CONFIG_MAPS, {"metadata": {"name": f"{fullname}-service-config"}, "data": data}, namespace)


def test_a_release_under_any_name(kube: Kube) -> None:
    release(kube, "llm")
    found = discover(kube, settings())
    assert {part: found.name(part) for part in found.components} == {
        "gateway": "llm",
        "builder": "llm-endpoint-builder",
        "cacher": "llm-cacher",
    }
    assert (found.namespace, found.service, found.port) == ("models", "llm", 80)
    known = settings().discovered(found.found)
    assert known.endpoint_namespace == "endpoints"
    assert known.source("endpoint_namespace") == "discovered in ConfigMap models/llm-service-config"
    assert known.model_engine_image_repository == "registry.local:5000/me"
    assert known.model_engine_image_tag == "1.9"


def test_what_stands_beside_the_deployments(kube: Kube) -> None:
    release(kube, "llm")
    found = discover(kube, settings())
    assert (found.fullname, found.container("cacher"), found.service_account("gateway")) == ("llm", "main", "default")
    assert found.config_map("service-config") == "llm-service-config"
    assert found.config_map("service-template-config") is None
    assert autoscaler(kube, found) is None
    labels = {"app": "celery-autoscaler-sqs"}
    spec = {"containers": [{"name": "main", "image": "me:1", "args": AUTOSCALER}]}
    body = {
        "metadata": {"name": "celery-autoscaler-sqs"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}},
    }
    kube.create(STATEFUL_SETS, body, "models")
    stands = autoscaler(kube, found)
    assert stands is not None
    assert stands["metadata"]["name"] == "celery-autoscaler-sqs"


def test_the_documented_labels_where_the_commands_say_nothing(kube: Kube) -> None:
    deploy(kube, "model-engine-gateway", ["serve"], "model-engine-gateway")
    deploy(kube, "model-engine-builder", ["build"], "model-engine-builder")
    serve(kube, "model-engine", "model-engine-gateway")
    found = discover(kube, settings(), "models")
    assert (found.name("gateway"), found.name("builder")) == ("model-engine-gateway", "model-engine-builder")
    assert found.service == "model-engine"
    assert settings().discovered(found.found).endpoint_namespace == "models"


def test_a_service_by_another_name(kube: Kube) -> None:
    deploy(kube, "llm", GATEWAY)
    serve(kube, "front", "llm")
    assert discover(kube, settings()).service == "front"


def test_no_release(kube: Kube) -> None:
    with pytest.raises(AssertionError, match="no Deployment in any namespace runs Model Engine's gateway"):
        discover(kube, settings(), "models")
    with pytest.raises(AssertionError, match="no Deployment in namespace other runs"):
        discover(kube, settings(namespace="other"))


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        ({"launch_service_config": "a: [1,"}, "config.malformed/models/llm-service-config"),
        ({"launch_service_config": "a: 1"}, "config.incomplete/models/llm-service-config"),
        (None, "config.empty/models/llm-service-config"),
    ],
)
def test_a_configuration_that_cannot_be_read(kube: Kube, data: dict[str, str] | None, cause: str) -> None:
    """It is told to whoever wants to know where endpoints are; all else goes on."""
    release(kube, "llm")
    kube.patch(CONFIG_MAPS, "llm-service-config", "models", {"data": data})
    found = discover(kube, settings())
    assert isinstance(found.refused, Unhealthy)
    assert found.refused.cause.key == cause
    assert "endpoint_namespace" not in found.found


def test_the_builder_of_another_release_is_not_ours(kube: Kube) -> None:
    release(kube, "llm")
    deploy(kube, "blue", GATEWAY)
    serve(kube, "blue", "blue")
    assert set(discover(kube, settings(release="blue", namespace="models")).components) == {"gateway"}


def test_no_service(kube: Kube) -> None:
    deploy(kube, "llm", GATEWAY)
    with pytest.raises(AssertionError, match="no Service in namespace models is called as Deployment models/llm or"):
        discover(kube, settings())


def test_several_releases_are_shown(kube: Kube) -> None:
    release(kube, "llm")
    release(kube, "llm-two")
    release(kube, "llm", "other")
    with pytest.raises(BadSettings, match="several releases of Model Engine: models/llm, models/llm-two, other/llm"):
        discover(kube, settings())
    with pytest.raises(BadSettings, match="models/llm, models/llm-two"):
        discover(kube, settings(namespace="models"))
    found = discover(kube, settings(namespace="models", release="llm-two"))
    assert found.name("builder") == "llm-two-endpoint-builder"
    assert discover(kube, settings(namespace="models", release="llm")).name("builder") == "llm-endpoint-builder"
    with pytest.raises(AssertionError, match=r"no Deployment called llm-three \(--set release=…\) in namespace models"):
        discover(kube, settings(namespace="models", release="llm-three"))
