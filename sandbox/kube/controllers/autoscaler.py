"""Horizontal pod autoscaling: between the least and the most replicas; any metric asks for no change."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.kube.controllers.loop import ControlLoop, Item
from sandbox.kube.objects import Object, condition_is, get, name_of, timestamp, with_condition
from sandbox.kube.recorder import record
from sandbox.kube.resources import API_SERVICES, AUTOSCALERS, Resource
from sandbox.kube.store import Event

COMPONENT = "horizontal-pod-autoscaler"
GOT_SCALE = "the HPA controller was able to get the target's current scale"


class _NoMetric(Exception):
    """A metric cannot be had: `reason` of the condition, `prefix` of the event that sums it up."""

    def __init__(self, reason: str, prefix: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.prefix = reason, prefix


class AutoscalerController(ControlLoop):
    """Writes the status of each HorizontalPodAutoscaler and keeps its target's replicas within the limits."""

    def concerns(self, event: Event) -> Iterable[Item]:
        if event.key == AUTOSCALERS.key and event.type != "DELETED":
            yield event.key, name_of(event.object)
        elif event.key == API_SERVICES.key:
            yield from ((AUTOSCALERS.key, name_of(autoscaler)) for autoscaler in self.cluster.list(AUTOSCALERS))
        elif event.object["metadata"].get("namespace"):
            for autoscaler in self.cluster.list(AUTOSCALERS, name_of(event.object)[0]):
                target = autoscaler["spec"]["scaleTargetRef"]
                if (target["kind"], target["name"]) == (event.object["kind"], name_of(event.object)[1]):
                    yield AUTOSCALERS.key, name_of(autoscaler)

    def reconcile(self, item: Item) -> None:
        autoscaler = self.store.get(AUTOSCALERS.key, *item[1])
        if autoscaler is not None:
            self._evaluate(autoscaler)

    def _evaluate(self, autoscaler: Object) -> None:
        reference = autoscaler["spec"]["scaleTargetRef"]
        resource = self._resource(reference)
        group = reference.get("apiVersion", "").rpartition("/")[0]
        if resource is None:
            self._no_scale(autoscaler, f'no matches for kind "{reference["kind"]}" in group "{group}"')
            return
        target = self.store.get(resource.key, name_of(autoscaler)[0], reference["name"])
        if target is None:
            self._no_scale(autoscaler, f'{resource.plural}/scale.{group} "{reference["name"]}" not found')
            return
        self._look(autoscaler, resource, target)

    def _resource(self, reference: Object) -> Resource | None:
        wanted = (reference.get("apiVersion"), reference["kind"])
        found = (item for item in self.cluster.resources if (item.api_version, item.kind) == wanted)
        return next((item for item in found if "scale" in item.subresources), None)

    def _no_scale(self, autoscaler: Object, why: str) -> None:
        record(self.cluster, COMPONENT, autoscaler, "Warning", "FailedGetScale", why)
        text = f"the HPA controller was unable to get the target's current scale: {why}"
        self._write(
            autoscaler, get(autoscaler, "status", {}), [_condition("AbleToScale", False, "FailedGetScale", text)]
        )

    def _look(self, autoscaler: Object, resource: Resource, target: Object) -> None:
        spec, current = autoscaler["spec"], get(target, "spec.replicas", 1)
        status = {"currentReplicas": current, "desiredReplicas": current, "currentMetrics": None}
        if "lastScaleTime" in autoscaler["status"]:
            status["lastScaleTime"] = autoscaler["status"]["lastScaleTime"]
        able = _condition("AbleToScale", True, "SucceededGetScale", GOT_SCALE)
        wanted = min(max(current, spec["minReplicas"]), spec["maxReplicas"])
        if not current:
            text = "scaling is disabled since the replica count of the target is zero"
            self._write(autoscaler, status, [able, _condition("ScalingActive", False, "ScalingDisabled", text)])
        elif wanted != current:
            self._rescale(autoscaler, resource, target, wanted)
        else:
            self._measure(autoscaler, status, able)

    def _rescale(self, autoscaler: Object, resource: Resource, target: Object, wanted: int) -> None:
        current = get(target, "spec.replicas", 1)
        limit = "below Spec.MinReplicas" if wanted > current else "above Spec.MaxReplicas"
        message = f"New size: {wanted}; reason: Current number of replicas {limit}"
        record(self.cluster, COMPONENT, autoscaler, "Normal", "SuccessfulRescale", message)
        text = f"the HPA controller was able to update the target scale to {wanted}"
        status = {"currentReplicas": current, "desiredReplicas": wanted, "currentMetrics": None}
        scaled = _condition("AbleToScale", True, "SucceededRescale", text)
        self._write(autoscaler, {**status, "lastScaleTime": timestamp()}, [scaled])
        self.cluster.update(resource, target, {**target, "spec": {**target["spec"], "replicas": wanted}})

    def _measure(self, autoscaler: Object, status: Object, able: Object) -> None:
        metrics = autoscaler["spec"]["metrics"]
        try:
            measured = [self._metric(metric) for metric in metrics]
        except _NoMetric as error:
            record(self.cluster, COMPONENT, autoscaler, "Warning", error.reason, str(error))
            summary = f"invalid metrics (1 invalid out of {len(metrics)}), first error is: {error.prefix}: {error}"
            record(self.cluster, COMPONENT, autoscaler, "Warning", "FailedComputeMetricsReplicas", summary)
            text = f"the HPA was unable to compute the replica count: {error}"
            self._write(autoscaler, status, [able, _condition("ScalingActive", False, error.reason, text)])
            return
        text = f"the HPA was able to successfully calculate a replica count from {measured[0][0]}"
        conditions = [
            _condition("AbleToScale", True, "ReadyForNewScale", "recommended size matches current size"),
            _condition("ScalingActive", True, "ValidMetricFound", text),
            _condition(
                "ScalingLimited", False, "DesiredWithinRange", "the desired count is within the acceptable range"
            ),
        ]
        self._write(autoscaler, {**status, "currentMetrics": [value for _, value in measured]}, conditions)

    def _metric(self, metric: Object) -> tuple[str, Object]:
        """What the metric is called, and its present value: just what is aimed at."""
        if metric["type"] == "Pods":
            name, target = metric["pods"]["metric"]["name"], metric["pods"]["target"]
            trouble = self._trouble("v1beta1.custom.metrics.k8s.io", "pods.custom.metrics.k8s.io *")
            if trouble is not None:
                trouble = trouble or "no custom metrics API (custom.metrics.k8s.io) registered"
                why = f"unable to get metric {name}: unable to fetch metrics from custom metrics API: {trouble}"
                raise _NoMetric("FailedGetPodsMetric", "failed to get pods metric value", why)
            current = {"averageValue": target["averageValue"]}
            return f"pods metric {name}", {"type": "Pods", "pods": {"metric": {"name": name}, "current": current}}
        name, target = metric["resource"]["name"], metric["resource"]["target"]
        trouble = self._trouble("v1beta1.metrics.k8s.io", "pods.metrics.k8s.io")
        if trouble is not None:
            trouble = trouble or "the server could not find the requested resource (get pods.metrics.k8s.io)"
            why = (
                f"failed to get {name} utilization: unable to get metrics for resource {name}: "
                f"unable to fetch metrics from resource metrics API: {trouble}"
            )
            raise _NoMetric("FailedGetResourceMetric", f"failed to get {name} resource metric value", why)
        current = {key: value for key, value in target.items() if key != "type"}
        said = f"{name} resource utilization (percentage of request)"
        return said, {"type": "Resource", "resource": {"name": name, "current": current}}

    def _trouble(self, service: str, resource: str) -> str | None:
        """None where that API is registered and not known to be down; "" where it is not registered."""
        found = self.store.get(API_SERVICES.key, "", service)
        if found is None:
            return ""
        down = condition_is(found, "Available", "False")
        return f"the server is currently unable to handle the request (get {resource})" if down else None

    def _write(self, autoscaler: Object, status: Object, new: list[Object]) -> None:
        conditions = get(autoscaler, "status.conditions", [])
        for each in new:
            conditions = with_condition(conditions, each)
        self.cluster.write_status(AUTOSCALERS, autoscaler, {**status, "conditions": conditions})


def _condition(kind: str, holds: bool, reason: str, message: str) -> Object:
    return {"type": kind, "status": str(holds), "reason": reason, "message": message}
