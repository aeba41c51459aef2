"""Defaults that kube-apiserver fills in, by kind (the fields that recordings, controllers or the kubelet read)."""

from __future__ import annotations

import base64
from collections.abc import Callable

from sandbox.kube.objects import Object, containers, get, timestamp

POD = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "terminationGracePeriodSeconds": 30,
}
CONTAINER = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
PROBE = {"failureThreshold": 3, "periodSeconds": 10, "successThreshold": 1, "timeoutSeconds": 1}
# Added by admission: a pod stays 300 s on a node that is not ready.
NODE_TROUBLE_TOLERATIONS = [
    {"effect": "NoExecute", "key": f"node.kubernetes.io/{trouble}", "operator": "Exists", "tolerationSeconds": 300}
    for trouble in ("not-ready", "unreachable")
]


def apply(kind: str, obj: Object) -> None:
    """Fill in the defaults of that kind, in place."""
    if kind in _BY_KIND:
        _BY_KIND[kind](obj)


def _fill(obj: Object, defaults: Object) -> None:
    for key, value in defaults.items():
        obj.setdefault(key, value.copy() if isinstance(value, (dict, list)) else value)


def _pod_spec(spec: Object) -> None:
    _fill(spec, POD)
    # Two names of one field; the older one is still accepted.
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for container in containers(spec):
        _fill(container, CONTAINER)
        container.setdefault("imagePullPolicy", pull_policy(container.get("image", "")))
        resources = container["resources"]
        if resources.get("limits"):
            requests = resources.setdefault("requests", {})
            for name, quantity in resources["limits"].items():
                requests.setdefault(name, quantity)
        for port in container.get("ports") or []:
            port.setdefault("protocol", "TCP")
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            if container.get(probe):
                _fill(container[probe], PROBE)
                if container[probe].get("httpGet"):
                    _fill(container[probe]["httpGet"], {"path": "/", "scheme": "HTTP"})


def pull_policy(image: str) -> str:
    """Always for no tag or ``latest``, else IfNotPresent."""
    last = image.rsplit("/", 1)[-1]
    is_latest = (":" not in last and "@" not in last) or last.endswith(":latest")
    return "Always" if is_latest else "IfNotPresent"


def quality_of_service(spec: Object) -> str:
    """The pod's QoS class, from cpu and memory of its containers."""
    wanted = [(item.get("resources") or {}) for item in containers(spec)]
    pairs = [(item.get("requests") or {}, item.get("limits") or {}) for item in wanted]
    if not any(name in side for pair in pairs for side in pair for name in ("cpu", "memory")):
        return "BestEffort"
    guaranteed = all(
        name in limits and requests.get(name, limits[name]) == limits[name]
        for requests, limits in pairs
        for name in ("cpu", "memory")
    )
    return "Guaranteed" if guaranteed else "Burstable"


def _pod(pod: Object) -> None:
    spec = pod.setdefault("spec", {})
    _pod_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    if not spec.get("serviceAccountName"):
        spec["serviceAccountName"] = spec["serviceAccount"] = "default"
    tolerations = spec.setdefault("tolerations", [])
    known = {(item.get("key"), item.get("effect")) for item in tolerations}
    tolerations += [item for item in NODE_TROUBLE_TOLERATIONS if (item["key"], item["effect"]) not in known]
    status = pod.setdefault("status", {})
    status.setdefault("phase", "Pending")
    status.setdefault("qosClass", quality_of_service(spec))


def _workload(obj: Object) -> Object:
    spec: Object = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    obj.setdefault("status", {})
    _template(spec)
    return spec


def _template(spec: Object) -> None:
    if isinstance(spec.get("template"), dict):
        _pod_spec(spec["template"].setdefault("spec", {}))


def _deployment(obj: Object) -> None:
    spec = _workload(obj)
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
    _fill(spec, {"progressDeadlineSeconds": 600, "revisionHistoryLimit": 10, "strategy": strategy})
    if spec["strategy"].get("type") == "RollingUpdate":
        _fill(spec["strategy"].setdefault("rollingUpdate", {}), {"maxSurge": "25%", "maxUnavailable": "25%"})
    for condition in obj["status"].get("conditions") or []:
        _fill(condition, {"lastTransitionTime": None, "lastUpdateTime": None})


def _stateful_set(obj: Object) -> None:
    defaults = {
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "podManagementPolicy": "OrderedReady",
        "revisionHistoryLimit": 10,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
    }
    _fill(_workload(obj), defaults)
    _fill(obj["status"], {"availableReplicas": 0, "replicas": 0})


def _replica_set(obj: Object) -> None:
    _workload(obj)
    obj["status"].setdefault("replicas", 0)


def _daemon_set(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    _template(spec)
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    _fill(spec, {"revisionHistoryLimit": 10, "updateStrategy": strategy})
    counts = ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady")
    _fill(obj.setdefault("status", {}), dict.fromkeys(counts, 0))


def _job(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    _template(spec)
    defaults = {
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "completions": 1,
        "parallelism": 1,
        "podReplacementPolicy": "TerminatingOrFailed",
        "suspend": False,
    }
    _fill(spec, defaults)
    obj.setdefault("status", {})


def select_own_pods(job: Object) -> None:
    """The selector of a new Job, and the labels of its pods, which only the server can give: they hold its uid."""
    name, uid = job["metadata"]["name"], job["metadata"]["uid"]
    own = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    template = job["spec"]["template"].setdefault("metadata", {})
    template["labels"] = {**(template.get("labels") or {}), **own}
    job["spec"]["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}


def _service(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    _fill(spec, {"type": "ClusterIP", "sessionAffinity": "None"})
    obj.setdefault("status", {"loadBalancer": {}})
    if spec["type"] == "ExternalName":
        return
    _fill(spec, {"internalTrafficPolicy": "Cluster", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"})
    for port in spec.get("ports") or []:
        _fill(port, {"protocol": "TCP", "targetPort": port.get("port")})


def _config_map(obj: Object) -> None:
    for field in ("data", "binaryData"):
        if not obj.get(field):
            obj.pop(field, None)


def _secret(obj: Object) -> None:
    for key, value in (obj.pop("stringData", None) or {}).items():
        obj.setdefault("data", {})[key] = base64.b64encode(value.encode()).decode()
    obj.setdefault("type", "Opaque")


def _namespace(obj: Object) -> None:
    obj.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    obj.setdefault("status", {}).setdefault("phase", "Active")
    labels = obj["metadata"].setdefault("labels", {})
    labels["kubernetes.io/metadata.name"] = obj["metadata"].get("name", "")


def _autoscaler(obj: Object) -> None:
    utilization = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    _fill(obj.setdefault("spec", {}), {"minReplicas": 1, "metrics": [{"type": "Resource", "resource": utilization}]})
    _fill(obj.setdefault("status", {}), {"currentMetrics": None, "desiredReplicas": 0})


def _disruption_budget(obj: Object) -> None:
    counts = dict.fromkeys(("currentHealthy", "desiredHealthy", "disruptionsAllowed", "expectedPods"), 0)
    _fill(obj.setdefault("status", {}), counts)


def _event(obj: Object) -> None:
    now = timestamp()
    _fill(obj, {"firstTimestamp": now, "lastTimestamp": now, "count": 1, "source": {}, "type": "Normal"})


def _node(obj: Object) -> None:
    obj.setdefault("spec", {})
    status = obj.setdefault("status", {})
    if get(obj, "status.capacity"):
        status.setdefault("allocatable", dict(status["capacity"]))


_BY_KIND: dict[str, Callable[[Object], None]] = {
    "ConfigMap": _config_map,
    "DaemonSet": _daemon_set,
    "Deployment": _deployment,
    "Event": _event,
    "HorizontalPodAutoscaler": _autoscaler,
    "Job": _job,
    "Namespace": _namespace,
    "Node": _node,
    "Pod": _pod,
    "PodDisruptionBudget": _disruption_budget,
    "ReplicaSet": _replica_set,
    "Secret": _secret,
    "Service": _service,
    "StatefulSet": _stateful_set,
}
