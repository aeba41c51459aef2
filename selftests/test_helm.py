"""What helm knows of a release is read from its Secrets, and nothing of it is shown."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

from kube_objects import deployment

from seatrial import helm
from seatrial.kube import Kube
from seatrial.mask import masked
from seatrial.policies import in_the_way
from seatrial.resources import NETWORK_POLICIES, SECRETS

CHART = {"metadata": {"name": "model-engine"}, "values": {"tag": "latest", "autoscaling": {"enabled": True, "min": 1}}}
GATEWAY = {"name": "model-engine", "namespace": "models"}


def release(kube: Kube, name: str, version: int, status: str = "deployed", **config: Any) -> None:
    """A Secret as helm keeps it."""
    content = {"name": name, "version": version, "chart": CHART, "config": config, "info": {"status": status}}
    packed = base64.b64encode(gzip.compress(json.dumps(content).encode()))
    labels = {"owner": "helm", "name": name, "status": status, "version": str(version)}
    metadata = {"name": f"sh.helm.release.v1.{name}.v{version}", "labels": labels}
    data = {"release": base64.b64encode(packed).decode()}
    kube.create(SECRETS, {"type": "helm.sh/release.v1", "metadata": metadata, "data": data}, "models")


def workload(**annotations: str) -> dict[str, Any]:
    return deployment("model-engine") | {"metadata": GATEWAY | {"annotations": annotations}}


def test_the_newest_deployed_revision_with_the_users_values_on_top(kube: Kube) -> None:
    release(kube, "engine", 2, tag="old")
    release(kube, "engine", 10, tag="1.9", autoscaling={"min": 2}, redis={"auth": "swordfish-of-the-values"})
    release(kube, "engine", 11, status="pending-upgrade", tag="next")
    found = helm.read(kube, workload(), "model-engine")
    assert str(found) == "helm release engine, revision 10"
    assert found.values["tag"] == "1.9"
    assert found.values["autoscaling"] == {"enabled": True, "min": 2}
    assert "swordfish" not in repr(found) + masked("it said swordfish-of-the-values")


def test_of_several_the_one_that_the_workload_names(kube: Kube) -> None:
    assert "no release Secret of helm in namespace models" in str(helm.read(kube, workload(), "model-engine"))
    release(kube, "blue", 1)
    release(kube, "green", 3)
    assert str(helm.read(kube, workload(), "model-engine")).endswith(
        "2 releases of the chart model-engine in namespace models"
    )
    named = helm.read(kube, workload(**{"meta.helm.sh/release-name": "green"}), "model-engine")
    assert (named.name, named.revision, named.known) == ("green", 3, True)
    assert not helm.read(kube, workload(), "another-chart").known


def test_a_policy_that_may_stop_our_probe_is_named(kube: Kube) -> None:
    labels = {"app": "seatrial"}
    assert in_the_way(kube, "models", labels, "db.example") == ""
    spec: dict[str, Any] = {"podSelector": {}, "policyTypes": ["Egress"]}
    kube.create(NETWORK_POLICIES, {"metadata": {"name": "deny"}, "spec": spec}, "models")
    selects = {"matchExpressions": [{"key": "app", "operator": "In", "values": ["model-engine"]}]}
    kube.create(NETWORK_POLICIES, {"metadata": {"name": "other"}, "spec": spec | {"podSelector": selects}}, "models")
    assert in_the_way(kube, "models", labels, "db.example") == "models/deny"
    ingress = {"podSelector": {"matchLabels": {"app": "redis"}}, "policyTypes": ["Ingress"]}
    kube.create(NETWORK_POLICIES, {"metadata": {"name": "redis"}, "spec": ingress}, "models")
    assert in_the_way(kube, "models", labels, "redis.models.svc.cluster.local") == "models/deny, models/redis"
