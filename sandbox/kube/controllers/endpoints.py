"""Endpoints and EndpointSlices: the pods behind each Service, ready or not."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.kube.controllers.loop import ControlLoop, Item
from sandbox.kube.objects import (
    Object,
    condition_is,
    controller_reference,
    get,
    is_deleting,
    is_terminal,
    name_of,
    random_suffix,
)
from sandbox.kube.resources import ENDPOINT_SLICES, ENDPOINTS, PODS, SERVICES, Resource
from sandbox.kube.selectors import matches_selector
from sandbox.kube.store import Event

SERVICE_NAME, MANAGED_BY = "kubernetes.io/service-name", "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
Address = Object


def subset(addresses: list[Address], not_ready: list[Address], ports: list[Object]) -> Object:
    """One subset of an Endpoints object; empty lists are left out."""
    parts = {"addresses": addresses, "notReadyAddresses": not_ready, "ports": ports}
    return {name: items for name, items in parts.items() if items}


class EndpointsController(ControlLoop):
    """Keeps both forms for every Service that has a selector."""

    def concerns(self, event: Event) -> Iterable[Item]:
        if event.key == SERVICES.key:
            yield event.key, name_of(event.object)
        elif event.key == PODS.key:
            versions = [pod["metadata"].get("labels") for pod in (event.object, event.previous) if pod]
            for service in self.cluster.list(SERVICES, name_of(event.object)[0]):
                if any(_selects(service, labels) for labels in versions):
                    yield SERVICES.key, name_of(service)

    def reconcile(self, item: Item) -> None:
        namespace, name = item[1]
        service = self.store.get(SERVICES.key, namespace, name)
        if service is None:
            # The slice goes with its owner reference; Endpoints have none.
            endpoints = self.store.get(ENDPOINTS.key, namespace, name)
            if endpoints is not None:
                self.cluster.delete(ENDPOINTS, endpoints)
        elif get(service, "spec.selector"):
            pods = [pod for pod in self.cluster.list(PODS, namespace) if _is_behind(service, pod)]
            self._write(ENDPOINTS, _endpoints(service, pods), self.store.get(ENDPOINTS.key, namespace, name))
            self._write(ENDPOINT_SLICES, _slice(service, pods), self._existing_slice(service))

    def _existing_slice(self, service: Object) -> Object | None:
        namespace, name = name_of(service)
        slices = self.cluster.list(ENDPOINT_SLICES, namespace)
        wanted = {SERVICE_NAME: name, MANAGED_BY: MANAGER}
        return next((item for item in slices if wanted.items() <= get(item, "metadata.labels", {}).items()), None)

    def _write(self, resource: Resource, wanted: Object, existing: Object | None) -> None:
        namespace = wanted["metadata"].pop("namespace")
        if existing is not None:
            # An update without a change is no write.
            self.cluster.update(resource, existing, {**wanted, "metadata": existing["metadata"]})
        else:
            self.cluster.create(resource, namespace, wanted)


def _selects(service: Object, labels: dict[str, str] | None) -> bool:
    selector = get(service, "spec.selector")
    return bool(selector) and matches_selector({"matchLabels": selector}, labels)


def _is_behind(service: Object, pod: Object) -> bool:
    has_address = bool(get(pod, "status.podIP")) and not is_terminal(pod)
    return has_address and _selects(service, pod["metadata"].get("labels"))


def _is_ready(service: Object, pod: Object) -> bool:
    publishes_all = bool(get(service, "spec.publishNotReadyAddresses"))
    return publishes_all or (condition_is(pod, "Ready") and not is_deleting(pod))


def _target(pod: Object) -> Object:
    namespace, name = name_of(pod)
    return {"kind": "Pod", "namespace": namespace, "name": name, "uid": pod["metadata"]["uid"]}


def _ports(service: Object, pod: Object) -> list[Object]:
    ports = []
    for port in get(service, "spec.ports", []):
        number = _number(port, pod)
        if number is not None:
            name = {"name": port["name"]} if port.get("name") else {}
            ports.append({**name, "port": number, "protocol": port["protocol"]})
    return ports


def _widest_ports(service: Object, pods: list[Object]) -> list[Object]:
    """The ports of the pod that has most of them: a Service's pods are taken to be alike."""
    return max((_ports(service, pod) for pod in pods), key=len, default=[])


def _number(service_port: Object, pod: Object) -> int | None:
    """The pod's port behind a Service's; a name is looked up among the containers' ports."""
    target: int | str = service_port["targetPort"]
    if not isinstance(target, str):
        return int(target)
    named = [port for container in pod["spec"]["containers"] for port in container.get("ports") or []]
    return next((port["containerPort"] for port in named if port.get("name") == target), None)


def _endpoints(service: Object, pods: list[Object]) -> Object:
    namespace, name = name_of(service)
    ready: list[Address] = []
    not_ready: list[Address] = []
    for pod in pods:
        if is_deleting(pod):
            continue
        address = {"ip": pod["status"]["podIP"], "nodeName": pod["spec"].get("nodeName"), "targetRef": _target(pod)}
        (ready if _is_ready(service, pod) else not_ready).append(address)
    metadata: Object = {"name": name, "namespace": namespace}
    if service["metadata"].get("labels"):
        metadata["labels"] = service["metadata"]["labels"]
    if not ready and not not_ready:
        return {"metadata": metadata}
    return {"metadata": metadata, "subsets": [subset(ready, not_ready, _widest_ports(service, pods))]}


def _slice(service: Object, pods: list[Object]) -> Object:
    namespace, name = name_of(service)
    endpoints = []
    for pod in pods:
        serving = condition_is(pod, "Ready")
        conditions = {"ready": _is_ready(service, pod), "serving": serving, "terminating": is_deleting(pod)}
        endpoints.append(
            {
                "addresses": [pod["status"]["podIP"]],
                "conditions": conditions,
                "nodeName": pod["spec"].get("nodeName"),
                "targetRef": _target(pod),
            }
        )
    ports = _widest_ports(service, pods)
    return {
        "metadata": {
            "name": f"{name}-{random_suffix()}",
            "namespace": namespace,
            "labels": {SERVICE_NAME: name, MANAGED_BY: MANAGER},
            "ownerReferences": [controller_reference(service)],
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [{"name": "", **port} for port in ports],
    }
