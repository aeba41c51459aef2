"""HorizontalPodAutoscalers: their conditions, in the real controller's words, and their target's replicas."""

from __future__ import annotations

from typing import Any

import pytest
from kube_api_server import Running, eventually
from kube_objects import deployment
from kubernetes import client

pytest_plugins = ["kube_fixtures"]

CONDITIONS = ("AbleToScale", "ScalingActive", "ScalingLimited")
PODS = {"type": "Pods", "pods": {"metric": {"name": "load"}, "target": {"type": "AverageValue", "averageValue": "10"}}}
ADAPTER = "v1beta1.custom.metrics.k8s.io"


@pytest.fixture
def scaling(api_client: client.ApiClient) -> client.AutoscalingV2Api:
    return client.AutoscalingV2Api(api_client)


def autoscaler(kind: str = "Deployment", **spec: Any) -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": kind, "name": "web"}
    return {"metadata": {"name": "web"}, "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 3, **spec}}


def conditions(scaling: client.AutoscalingV2Api, namespace: str) -> dict[str, tuple[str, str, str]]:
    found = scaling.read_namespaced_horizontal_pod_autoscaler("web", namespace).status.conditions or []
    return {item.type: (item.status, item.reason, item.message) for item in found}


def expect(scaling: client.AutoscalingV2Api, namespace: str, kind: str, *expected: str) -> None:
    def look() -> None:
        assert conditions(scaling, namespace).get(kind) == expected

    eventually(look)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("Deployment", 'deployments/scale.apps "web" not found'),
        ("Dragon", 'no matches for kind "Dragon" in group "apps"'),
    ],
)
def test_no_target(
    scaling: client.AutoscalingV2Api, core: client.CoreV1Api, namespace: str, kind: str, why: str
) -> None:
    scaling.create_namespaced_horizontal_pod_autoscaler(namespace, autoscaler(kind))
    text = f"the HPA controller was unable to get the target's current scale: {why}"
    expect(scaling, namespace, "AbleToScale", "False", "FailedGetScale", text)
    (event,) = core.list_namespaced_event(namespace).items
    assert (event.type, event.reason, event.message) == ("Warning", "FailedGetScale", why)


def test_the_limits_hold(scaling: client.AutoscalingV2Api, apps: client.AppsV1Api, namespace: str) -> None:
    apps.create_namespaced_deployment(namespace, deployment("web", replicas=1))
    scaling.create_namespaced_horizontal_pod_autoscaler(namespace, autoscaler())

    def replicas(expected: int) -> None:
        assert apps.read_namespaced_deployment("web", namespace).spec.replicas == expected

    eventually(lambda: replicas(2))
    apps.patch_namespaced_deployment("web", namespace, {"spec": {"replicas": 5}})
    eventually(lambda: replicas(3))
    status = scaling.read_namespaced_horizontal_pod_autoscaler("web", namespace).status
    assert status.last_scale_time
    apps.patch_namespaced_deployment("web", namespace, {"spec": {"replicas": 0}})
    disabled = "scaling is disabled since the replica count of the target is zero"
    expect(scaling, namespace, "ScalingActive", "False", "ScalingDisabled", disabled)
    replicas(0)


@pytest.mark.parametrize(
    ("metric", "service", "reason", "missing", "name"),
    [
        (
            PODS,
            ADAPTER,
            "FailedGetPodsMetric",
            "unable to get metric load: unable to fetch metrics from custom metrics API: "
            "no custom metrics API (custom.metrics.k8s.io) registered",
            "pods metric load",
        ),
        (
            None,
            "v1beta1.metrics.k8s.io",
            "FailedGetResourceMetric",
            "failed to get cpu utilization: unable to get metrics for resource cpu: unable to fetch metrics from "
            "resource metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)",
            "cpu resource utilization (percentage of request)",
        ),
    ],
    ids=["pods", "cpu by default"],
)
def test_metrics_need_their_api(
    scaling: client.AutoscalingV2Api,
    apps: client.AppsV1Api,
    core: client.CoreV1Api,
    api_client: client.ApiClient,
    api_server: Running,
    namespace: str,
    metric: dict[str, Any] | None,
    service: str,
    reason: str,
    missing: str,
    name: str,
) -> None:
    apps.create_namespaced_deployment(namespace, deployment("web", replicas=2))
    scaling.create_namespaced_horizontal_pod_autoscaler(
        namespace, autoscaler(**({"metrics": [metric]} if metric else {}))
    )
    unable = f"the HPA was unable to compute the replica count: {missing}"
    expect(scaling, namespace, "ScalingActive", "False", reason, unable)
    got = "the HPA controller was able to get the target's current scale"
    assert conditions(scaling, namespace)["AbleToScale"] == ("True", "SucceededGetScale", got)
    reasons = {event.reason for event in core.list_namespaced_event(namespace).items}
    assert {reason, "FailedComputeMetricsReplicas"} <= reasons
    path = f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers"
    as_table = "application/json;as=Table;g=meta.k8s.io;v=v1"
    goal = "10" if metric else "80%"
    shown = api_server.request("GET", path, accept=as_table).body["rows"][0]["cells"][2]
    assert shown == (f"<unknown>/{goal}" if metric else f"cpu: <unknown>/{goal}")

    services = client.ApiregistrationV1Api(api_client)
    version, group = service.split(".", 1)
    spec = {
        "group": group,
        "version": version,
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "service": {"namespace": "monitoring", "name": "adapter"},
    }
    services.create_api_service({"metadata": {"name": service}, "spec": spec})
    listed = api_server.request("GET", "/apis/apiregistration.k8s.io/v1/apiservices", accept=as_table).body["rows"]
    assert [row["cells"][:3] for row in listed] == [[service, "monitoring/adapter", "Unknown"]]
    found = f"the HPA was able to successfully calculate a replica count from {name}"
    expect(scaling, namespace, "ScalingActive", "True", "ValidMetricFound", found)
    assert set(conditions(scaling, namespace)) == set(CONDITIONS)
    shown = api_server.request("GET", path, accept=as_table).body["rows"][0]["cells"][2]
    assert shown == (f"{goal}/{goal}" if metric else f"cpu: {goal}/{goal}")

    down = {"type": "Available", "status": "False", "reason": "MissingEndpoints", "message": "no endpoints"}
    services.patch_api_service_status(service, {"status": {"conditions": [down]}})

    def unavailable() -> None:
        text = conditions(scaling, namespace)["ScalingActive"][2]
        assert "the server is currently unable to handle the request (get pods." in text

    eventually(unavailable)
    services.delete_api_service(service)
    expect(scaling, namespace, "ScalingActive", "False", reason, unable)
