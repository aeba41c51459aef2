"""Tables, as ``kubectl get`` asks for them: the columns of each kind and the cells of an object."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sandbox.kube.objects import Object, condition, condition_is, get, is_deleting
from sandbox.kube.resources import Resource

NAME_DESCRIPTION = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a "
    "client to request the generation of an appropriate name automatically. Name is primarily intended for creation "
    "idempotence and configuration definition. Cannot be updated. More info: "
    "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)
AGE_DESCRIPTION = (
    "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed "
    "to be set in happens-before order across separate operations. Clients may not set this value. It is represented "
    "in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)
DATA_DESCRIPTION = (
    "Data contains the configuration data. Each key must consist of alphanumeric characters, '-', '_' or '.'. Values "
    "with non-UTF-8 byte sequences must use the BinaryData field. The keys stored in Data must not overlap with the "
    "keys in the BinaryData field, this is enforced during validation process."
)


@dataclass(frozen=True)
class Column:
    """One column; `wide` columns show with ``-o wide`` only."""

    name: str
    cell: Callable[[Object], Any]
    wide: bool = False
    kind: str = "string"
    format: str = ""
    description: str = ""

    def definition(self) -> Object:
        """The column as a Table describes it."""
        return {
            "name": self.name,
            "type": self.kind,
            "format": self.format,
            "description": self.description,
            "priority": int(self.wide),
        }


def age(stamp: str | None) -> str:
    """The time since an RFC 3339 timestamp, as kubectl abbreviates it."""
    if not stamp:
        return "<unknown>"
    passed = datetime.now(UTC) - datetime.fromisoformat(stamp)
    return duration(max(0, int(passed.total_seconds())))


def duration(seconds: int) -> str:
    """90 -> 90s, 150 -> 2m30s, 7000 -> 116m, 100000 -> 27h, as apimachinery's HumanDuration."""
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    return f"{days}d"


NAME = Column("Name", lambda obj: obj["metadata"]["name"], format="name", description=NAME_DESCRIPTION)
AGE = Column("Age", lambda obj: age(obj["metadata"].get("creationTimestamp")), description=AGE_DESCRIPTION)


def _at(path: str, default: Any = "<none>") -> Callable[[Object], Any]:
    return lambda obj: get(obj, path, default)


def _pod_ready(pod: Object) -> str:
    statuses = get(pod, "status.containerStatuses", [])
    return f"{sum(bool(item.get('ready')) for item in statuses)}/{len(get(pod, 'spec.containers', []))}"


def _pod_status(pod: Object) -> str:
    reason = get(pod, "status.reason") or get(pod, "status.phase", "Pending")
    for status in get(pod, "status.containerStatuses", []):
        waiting, ended = get(status, "state.waiting.reason"), get(status, "state.terminated")
        if waiting:
            reason = waiting
        elif ended:
            reason = ended.get("reason") or f"ExitCode:{ended.get('exitCode')}"
    return "Terminating" if is_deleting(pod) else str(reason)


def _pod_restarts(pod: Object) -> str:
    statuses = get(pod, "status.containerStatuses", [])
    count = sum(item.get("restartCount", 0) for item in statuses)
    ends = [end for end in (get(item, "lastState.terminated.finishedAt") for item in statuses) if end]
    return f"{count} ({age(max(ends))} ago)" if count and ends else str(count)


def _ready(obj: Object) -> str:
    return f"{get(obj, 'status.readyReplicas', 0)}/{get(obj, 'spec.replicas', 0)}"


def _images(obj: Object) -> str:
    return ",".join(item.get("image", "") for item in get(obj, "spec.template.spec.containers", []))


def _container_names(obj: Object) -> str:
    return ",".join(item["name"] for item in get(obj, "spec.template.spec.containers", []))


def _pairs(path: str) -> Callable[[Object], str]:
    return lambda obj: ",".join(f"{key}={value}" for key, value in get(obj, path, {}).items()) or "<none>"


def _node_status(node: Object) -> str:
    status = "Ready" if condition_is(node, "Ready") else "NotReady"
    return f"{status},SchedulingDisabled" if get(node, "spec.unschedulable") else status


def _node_roles(node: Object) -> str:
    prefix = "node-role.kubernetes.io/"
    roles = [key.removeprefix(prefix) for key in get(node, "metadata.labels", {}) if key.startswith(prefix)]
    return ",".join(sorted(roles)) or "<none>"


def _node_address(kind: str) -> Callable[[Object], str]:
    def cell(node: Object) -> str:
        addresses = get(node, "status.addresses", [])
        return next((item["address"] for item in addresses if item["type"] == kind), "<none>")

    return cell


def _service_ports(service: Object) -> str:
    ports = get(service, "spec.ports", [])
    return ",".join(f"{port['port']}/{port.get('protocol', 'TCP')}" for port in ports) or "<none>"


def _endpoints(endpoints: Object) -> str:
    found = [
        f"{address['ip']}:{port['port']}"
        for subset in endpoints.get("subsets") or []
        for address in subset.get("addresses") or []
        for port in subset.get("ports") or []
    ]
    return ",".join(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "") if found else "<none>"


def _data(obj: Object) -> int:
    return len(obj.get("data") or {}) + len(obj.get("binaryData") or {})


def _job_status(job: Object) -> str:
    known = ("Complete", "Failed", "SuccessCriteriaMet", "FailureTarget")
    return next((kind for kind in known if condition_is(job, kind)), "Terminating" if is_deleting(job) else "Running")


def _job_duration(job: Object) -> str:
    started, completed = get(job, "status.startTime"), get(job, "status.completionTime")
    if not started or not completed:
        return age(started) if started else ""
    passed = datetime.fromisoformat(completed) - datetime.fromisoformat(started)
    return duration(int(passed.total_seconds()))


def _target(autoscaler: Object) -> str:
    reference = get(autoscaler, "spec.scaleTargetRef", {})
    return f"{reference.get('kind')}/{reference.get('name')}"


def _targets(autoscaler: Object) -> str:
    shown = []
    metrics, current = get(autoscaler, "spec.metrics", []), get(autoscaler, "status.currentMetrics", [])
    for index, metric in enumerate(metrics):
        measured = current[index] if index < len(current) else {}
        if metric["type"] == "Pods":
            now = get(measured, "pods.current.averageValue", "<unknown>")
            shown.append(f"{now}/{get(metric, 'pods.target.averageValue')}")
        else:
            name, goal = get(metric, "resource.name"), get(metric, "resource.target.averageUtilization")
            now = get(measured, "resource.current.averageUtilization")
            shown.append(f"{name}: {'<unknown>' if now is None else f'{now}%'}/{goal}%")
    return ", ".join(shown)


def _service_of(service: Object) -> str:
    behind = get(service, "spec.service")
    return f"{behind['namespace']}/{behind['name']}" if behind else "Local"


def _event_object(event: Object) -> str:
    involved = event.get("involvedObject") or {}
    return f"{involved.get('kind', '').lower()}/{involved.get('name', '')}"


TEMPLATE = (Column("Containers", _container_names, wide=True), Column("Images", _images, wide=True))
COLUMNS: dict[str, tuple[Column, ...]] = {
    "Pod": (
        NAME,
        Column("Ready", _pod_ready),
        Column("Status", _pod_status),
        Column("Restarts", _pod_restarts),
        AGE,
        Column("IP", _at("status.podIP"), wide=True),
        Column("Node", _at("spec.nodeName"), wide=True),
        Column("Nominated Node", _at("status.nominatedNodeName"), wide=True),
        Column("Readiness Gates", lambda pod: "<none>", wide=True),
    ),
    "Deployment": (
        NAME,
        Column("Ready", _ready),
        Column("Up-to-date", _at("status.updatedReplicas", 0), kind="integer"),
        Column("Available", _at("status.availableReplicas", 0), kind="integer"),
        AGE,
        *TEMPLATE,
        Column("Selector", _pairs("spec.selector.matchLabels"), wide=True),
    ),
    "ReplicaSet": (
        NAME,
        Column("Desired", _at("spec.replicas", 0), kind="integer"),
        Column("Current", _at("status.replicas", 0), kind="integer"),
        Column("Ready", _at("status.readyReplicas", 0), kind="integer"),
        AGE,
    ),
    "StatefulSet": (NAME, Column("Ready", _ready), AGE, *TEMPLATE),
    "DaemonSet": (
        NAME,
        Column("Desired", _at("status.desiredNumberScheduled", 0), kind="integer"),
        Column("Current", _at("status.currentNumberScheduled", 0), kind="integer"),
        Column("Ready", _at("status.numberReady", 0), kind="integer"),
        Column("Up-to-date", _at("status.updatedNumberScheduled", 0), kind="integer"),
        Column("Available", _at("status.numberAvailable", 0), kind="integer"),
        Column("Node Selector", _pairs("spec.template.spec.nodeSelector")),
        AGE,
        *TEMPLATE,
        Column("Selector", _pairs("spec.selector.matchLabels"), wide=True),
    ),
    "Job": (
        NAME,
        Column("Status", _job_status),
        Column("Completions", lambda job: f"{get(job, 'status.succeeded', 0)}/{get(job, 'spec.completions', 1)}"),
        Column("Duration", _job_duration),
        AGE,
        *TEMPLATE,
        Column("Selector", _pairs("spec.selector.matchLabels"), wide=True),
    ),
    "Service": (
        NAME,
        Column("Type", _at("spec.type")),
        Column("Cluster-IP", _at("spec.clusterIP")),
        Column("External-IP", _at("spec.externalName")),
        Column("Port(s)", _service_ports),
        AGE,
        Column("Selector", _pairs("spec.selector"), wide=True),
    ),
    "Endpoints": (NAME, Column("Endpoints", _endpoints), AGE),
    "Node": (
        NAME,
        Column("Status", _node_status),
        Column("Roles", _node_roles),
        AGE,
        Column("Version", _at("status.nodeInfo.kubeletVersion", "")),
        Column("Internal-IP", _node_address("InternalIP"), wide=True),
        Column("External-IP", _node_address("ExternalIP"), wide=True),
        Column("OS-Image", _at("status.nodeInfo.osImage", "<unknown>"), wide=True),
        Column("Kernel-Version", _at("status.nodeInfo.kernelVersion", "<unknown>"), wide=True),
        Column("Container-Runtime", _at("status.nodeInfo.containerRuntimeVersion", "<unknown>"), wide=True),
    ),
    "Namespace": (NAME, Column("Status", _at("status.phase", "Active")), AGE),
    "ConfigMap": (NAME, Column("Data", _data, description=DATA_DESCRIPTION), AGE),
    "Secret": (NAME, Column("Type", _at("type", "Opaque")), Column("Data", _data), AGE),
    "HorizontalPodAutoscaler": (
        NAME,
        Column("Reference", _target),
        Column("Targets", _targets),
        Column("MinPods", lambda obj: str(get(obj, "spec.minReplicas", "<unset>"))),
        Column("MaxPods", _at("spec.maxReplicas", 0), kind="integer"),
        Column("Replicas", _at("status.currentReplicas", 0), kind="integer"),
        AGE,
    ),
    "APIService": (
        NAME,
        Column("Service", _service_of),
        Column("Available", lambda service: (condition(service, "Available") or {}).get("status", "Unknown")),
        AGE,
    ),
    "PodDisruptionBudget": (
        NAME,
        Column("Min Available", lambda obj: str(get(obj, "spec.minAvailable", "N/A"))),
        Column("Max Unavailable", lambda obj: str(get(obj, "spec.maxUnavailable", "N/A"))),
        Column("Allowed Disruptions", _at("status.disruptionsAllowed", 0), kind="integer"),
        AGE,
    ),
    "Event": (
        Column("Last Seen", lambda event: age(event.get("lastTimestamp"))),
        Column("Type", _at("type", "")),
        Column("Reason", _at("reason", "")),
        Column("Object", _event_object),
        Column("Message", lambda event: event.get("message", "").strip()),
    ),
}


def columns(resource: Resource) -> tuple[Column, ...]:
    """The columns of a resource type; a custom one brings its own."""
    if not resource.columns:
        return COLUMNS.get(resource.kind, (NAME, AGE))
    own = tuple(
        Column(item["name"], _printer(item), item.get("priority", 0) > 0, item["type"]) for item in resource.columns
    )
    return (NAME, *own) if any(column.name == "Age" for column in own) else (NAME, *own, AGE)


def _printer(column: Object) -> Callable[[Object], Any]:
    def cell(obj: Object) -> Any:
        value = json_path(obj, column["jsonPath"])
        return age(value) if column["type"] == "date" else value

    return cell


_STEP = re.compile(r"""\.((?:\\.|[^.\[\\])+)|\[(\d+)\]|\[\?\(@\.(\w+)==["']([^"']*)["']\)\]""")


def json_path(obj: Any, path: str) -> Any:
    """The first value at ``.a.b``, ``.a[0].b`` or ``.a[?(@.type=="x")].b``; None where a step is absent."""
    for field, index, key, wanted in _STEP.findall(path):
        if field:
            obj = obj.get(field.replace("\\", "")) if isinstance(obj, dict) else None
        elif index:
            obj = obj[int(index)] if isinstance(obj, list) and len(obj) > int(index) else None
        else:
            obj = next((item for item in obj or [] if str(item.get(key)) == wanted), None)
        if obj is None:
            return None
    return obj


def table(resource: Resource, objects: list[Object], metadata: Object, include: str) -> Object:
    """A Table of the objects; `include`: what each row carries beside its cells (None, Metadata, Object)."""
    shown = columns(resource)
    rows = []
    for obj in objects:
        row: Object = {"cells": [column.cell(obj) for column in shown]}
        if include == "Object":
            row["object"] = obj
        elif include == "Metadata":
            partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
            row["object"] = partial
        rows.append(row)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": [column.definition() for column in shown],
        "rows": rows,
    }
