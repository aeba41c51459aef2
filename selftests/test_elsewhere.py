"""What a release is like elsewhere: parts that helm has off, an identifier, one namespace for all."""

from __future__ import annotations

from pathlib import Path

import pytest
from kube_objects import pod
from test_discovery import release, settings
from test_helm import release as helm_release

from seatrial.kube import Kube
from seatrial.model_engine.configuration import Configuration
from seatrial.model_engine.depths import Queues
from seatrial.model_engine.discovery import discover
from seatrial.model_engine.health import leftovers
from seatrial.model_engine.infra import Infra
from seatrial.record import Record
from seatrial.resources import CONFIG_MAPS, DEPLOYMENTS, PODS
from seatrial.run import Run, new_id
from seatrial.trial import Trial
from seatrial.verdict import NotApplicable


def test_what_helm_has_off_is_not_judged(kube: Kube, record: Record, tmp_path: Path) -> None:
    """By the values in the release's own Secret, without a word of the user; the user's word counts more."""
    release(kube, "llm")
    off = {"autoscaling": {"horizontal": {"enabled": False}}, "celery_autoscaler": {"enabled": False}}
    helm_release(kube, "engine", 1, **off)
    found = discover(kube, settings())
    for given, judged in (
        (settings(), False),
        (settings(autoscaling_horizontal="true", celery_autoscaler="true"), True),
    ):
        trial = Trial(Run("t5k2m9x7qd", tmp_path), given.discovered(found.found), record)
        for name in ("autoscaling_horizontal", "celery_autoscaler"):
            if judged:
                Infra(trial, kube, found).switched_off(name)
                continue
            with pytest.raises(
                NotApplicable, match=rf"{name} is false \(discovered in helm release engine, revision 1"
            ):
                Infra(trial, kube, found).switched_off(name)


def test_a_release_with_an_identifier(kube: Kube) -> None:
    """The chart gives such a one no autoscaler, and its gateway puts what is to be built into a queue of its own."""
    release(kube, "model-engine-blue")
    helm_release(kube, "engine", 1, serviceIdentifier="blue", celery_autoscaler={"enabled": True})
    assert settings().discovered(discover(kube, settings()).found).celery_autoscaler is False
    for environment, queue in (
        ({}, "model-engine-service-builder"),
        ({"SERVICE_IDENTIFIER": "blue"}, "model-engine-blue-service-builder"),
        ({"SERVICE_IDENTIFIER": "blue", "SERVICE_BUILDER_QUEUE": "builds"}, "builds"),
    ):
        env = [{"name": name, "value": value} for name, value in environment.items()]
        containers = [{"name": "main", "env": env}]
        kube.patch(
            DEPLOYMENTS,
            "model-engine-blue",
            "models",
            {"spec": {"template": {"spec": {"containers": containers}}}},
            kind="strategic",
        )
        found = discover(kube, settings())
        configuration = Configuration.of_release(kube, found.components["gateway"])
        assert Queues(None, kube, found, configuration).builder_queue == queue  # type: ignore[arg-type]


def test_endpoints_in_the_releases_own_namespace(kube: Kube, record: Record, tmp_path: Path) -> None:
    """There is one configuration; what our endpoints' pods do there is neither the release's nor somebody else's."""
    release(kube, "llm")
    data = {"launch_service_config": "endpoint_namespace: models\n"}
    kube.patch(CONFIG_MAPS, "llm-service-config", "models", {"data": data})
    found = discover(kube, settings())
    trial = Trial(Run("t5k2m9x7qd", tmp_path), settings().discovered(found.found), record)
    with pytest.raises(NotApplicable, match="endpoints run in the release's own namespace models"):
        Infra(trial, kube, found).same_in_both_namespaces()
    for name, owner in (("ours", f"seatrial-echo-sync-{new_id()}"), ("theirs", "chat")):
        made = pod(name, nodeName="nowhere", restartPolicy="Never")
        made["metadata"]["labels"] = {"app": f"launch-{name}", "endpoint_name": owner}
        kube.create(PODS, made, "models")
        kube.patch(PODS, name, "models", {"status": {"phase": "Failed", "reason": "Error"}}, subresource="status")
    broken = leftovers.look(kube, found)
    assert (broken.release, broken.others, broken.apart) == ((), ("theirs (Error)",), {"of seatrial's runs": 1})
