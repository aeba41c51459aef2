"""Finds a release in the cluster: a component is recognised by what its containers run, whatever it is called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from seatrial import helm, values
from seatrial.helm import Helm
from seatrial.kube import Kube, NotFound, Object
from seatrial.resources import CONFIG_MAPS, DEPLOYMENTS, PODS, SERVICES, STATEFUL_SETS, Resource
from seatrial.settings import Settings
from seatrial.verdict import BadSettings, Cause, Refused, Unhealthy

RUNS = {
    "gateway": "start_fastapi_server",
    "builder": "--app=model_engine_server.service_builder",
    "cacher": "entrypoints.k8s_cache",
    "autoscaler": "model_engine_server.core.celery.celery_autoscaler",
}
"""What the command line of each component's container holds, in the chart as released."""
CHART = "model-engine"
_LAUNCH = "launch_service_config"
_WITHOUT = {False: "is empty", True: f"has no endpoint_namespace in its {_LAUNCH}"}
LABELLED = {name: f"model-engine-{name}" for name in RUNS} | {"autoscaler": "model-engine-celery-autoscaler"}
"""The ``app`` label of each component, as the runbook has it."""


class NoRelease(AssertionError):
    """Nothing here runs Model Engine's gateway."""


@dataclass(frozen=True)
class Release:
    """One deployment of Model Engine.

    `components`: Deployments by what they are; a part that was not found is not in it (`autoscaler` finds the
    StatefulSet, which not every run looks at). `service` and `port`: the gateway's. `chart`: the label
    ``helm.sh/chart``. `images`: image ids that the components' pods run.
    """

    namespace: str
    components: Mapping[str, Object]
    service: str
    port: int
    chart: str = ""
    images: tuple[str, ...] = ()
    found: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    """Settings that discovery can fill in: value and the object it stood in."""
    helm: Helm = field(default_factory=lambda: Helm(why="not looked for"))
    """What helm knows of it."""
    refused: Refused | AssertionError | None = None
    """Why the endpoints' namespace was not found: we may not look at the configuration that names it, or it is none."""

    def name(self, component: str) -> str:
        """The Deployment's name."""
        return str(self.components[component]["metadata"]["name"])

    def resource(self, component: str) -> Resource:
        """Which kind of object the component is."""
        return STATEFUL_SETS if component == "autoscaler" else DEPLOYMENTS

    def container(self, component: str) -> str:
        """The name of the container that is the product's: a sidecar may stand beside it."""
        return str(container(self.components[component], component)["name"])

    def service_account(self, component: str) -> str:
        """Under which service account its pods run."""
        spec = self.components[component]["spec"]["template"]["spec"]
        return str(spec.get("serviceAccountName") or spec.get("serviceAccount") or "default")

    @property
    def fullname(self) -> str:
        """What the chart's other objects are named after."""
        return self.name("gateway").removesuffix("-gateway")

    def config_map(self, holds: str) -> str | None:
        """The ConfigMap that the gateway mounts and that holds the key `holds`, or whose name ends so."""
        volumes = self.components["gateway"]["spec"]["template"]["spec"].get("volumes") or []
        maps = [one["configMap"] for one in volumes if "configMap" in one]
        for one in maps:
            if one["name"].endswith(f"-{holds}") or holds in {item["key"] for item in one.get("items") or []}:
                return str(one["name"])
        return None

    def labels(self, component: str) -> str:
        """The selector of a component's pods."""
        selector = self.components[component]["spec"]["selector"]["matchLabels"]
        return ",".join(f"{key}={value}" for key, value in selector.items())

    def describe(self) -> str:
        """One line for the head of a run."""
        chart = f", chart {self.chart}" if self.chart else ""
        images = f", image {', '.join(self.images)}" if self.images else ""
        return f"release {self.namespace}/{self.name('gateway')}{chart}{images}; {self.helm}"


def discover(kube: Kube, settings: Settings, guess: str = "") -> Release:
    """The release that `settings` mean, looked for in their namespace, else in `guess`, else in all.

    `NoRelease` if there is none; `BadSettings` if there are several and nothing says which.
    """
    return _release(kube, deployments(kube, settings, guess), settings)


def deployments(kube: Kube, settings: Settings, guess: str = "") -> dict[str, Object]:
    """The release's Deployments by what they are, the gateway first; raises as `discover` does."""
    namespace, gateways = _gateways(kube, settings, guess)
    if settings.release:
        gateways = [one for one in gateways if one["metadata"]["name"] == settings.release]
    wanted = f"called {settings.release} ({settings.source('release')}) " if settings.release else ""
    where = f"in namespace {namespace}" if namespace else "in any namespace"
    if not gateways:
        raise NoRelease(f"no Deployment {wanted}{where} runs Model Engine's gateway ({RUNS['gateway']})")
    if len(gateways) > 1:
        names = ", ".join(f"{one['metadata']['namespace']}/{one['metadata']['name']}" for one in gateways)
        do = "say which: --namespace, or --set release=NAME where they share one"
        raise BadSettings(f"several releases of Model Engine: {names}", source=f"Deployments {where}", do=do)
    gateway = gateways[0]
    beside = kube.list(DEPLOYMENTS, gateway["metadata"]["namespace"])
    alone = len(_running(beside, "gateway")) == 1
    components = {"gateway": gateway}
    for component in ("builder", "cacher"):
        if found := _same_release(_running(beside, component), gateway, component, alone=alone):
            components[component] = found
    return components


def _gateways(kube: Kube, settings: Settings, guess: str) -> tuple[str, list[Object]]:
    """The namespace that was looked in ('' for all) and the gateways' Deployments there."""
    given = settings.namespace
    if given or guess:
        found = _running(kube.list(DEPLOYMENTS, given or guess, empty_ok=True), "gateway")
        if found or given:
            return given or guess, found
    try:
        return "", _running(kube.list(DEPLOYMENTS, empty_ok=True), "gateway")
    except Refused as error:
        where = f"no gateway in namespace {guess}, and " if guess else ""
        raise Refused(f"{where}{error.line}", source=error.source, do="say where the release is: --namespace") from None


def _running(workloads: Iterable[Object], component: str) -> list[Object]:
    every = list(workloads)
    by_command = [one for one in every if RUNS[component] in _commands(one)]
    return by_command or [one for one in every if _app(one) == LABELLED[component]]


def _commands(deployment: Object) -> str:
    return " ".join(command(one) for one in deployment["spec"]["template"]["spec"].get("containers") or [])


def command(container: Object) -> str:
    return " ".join([*(container.get("command") or []), *(container.get("args") or [])])


def container(workload: Object, component: str) -> Object:
    """The container of `workload` that is the component: a sidecar may stand before it."""
    containers: list[Object] = workload["spec"]["template"]["spec"]["containers"]
    return next((one for one in containers if RUNS[component] in command(one)), containers[0])


def autoscaler(kube: Kube, release: Release) -> Object | None:
    """The Celery autoscaler's StatefulSet: the only one in the namespace, or the one that is called after the release.

    Its name has the broker's and no release's in it, so that two releases in one namespace share it.
    """
    found = _running(kube.list(STATEFUL_SETS, release.namespace, empty_ok=True), "autoscaler")
    account = release.service_account("gateway")
    own = [one for one in found if one["spec"]["template"]["spec"].get("serviceAccountName") == account]
    return next(iter(own or found), None)


def _app(deployment: Object) -> str:
    return str((deployment["spec"]["template"]["metadata"].get("labels") or {}).get("app", ""))


def _release(kube: Kube, components: Mapping[str, Object], settings: Settings) -> Release:
    gateway = components["gateway"]
    namespace, name = gateway["metadata"]["namespace"], gateway["metadata"]["name"]
    where = f"Deployment {namespace}/{name}"
    service, port = _service(kube, gateway, where)
    image = container(gateway, "gateway")["image"]
    repository, _, tag = image.partition("@")[0].rpartition(":")
    known = helm.read(kube, gateway, CHART)
    said = values.said_of(known.values, str(known)).items()
    found_settings: dict[str, tuple[Any, str]] = {name: (value, str(known)) for name, (value, _) in said}
    found_settings.pop("release", None)  # which one is meant is what led here
    found_settings["namespace"] = (namespace, where)
    if repository and "/" not in tag:
        found_settings |= {
            "model_engine_image_repository": (repository, where),
            "model_engine_image_tag": (tag, where),
        }
    refused: Refused | AssertionError | None = None
    try:
        found_settings["endpoint_namespace"] = _endpoint_namespace(kube, gateway, namespace)
    except (Refused, AssertionError) as error:
        refused = None if "endpoint_namespace" in found_settings else error  # helm's values may say it, too
    labels = gateway["metadata"].get("labels") or {}
    selected = ",".join(f"{key}={value}" for key, value in gateway["spec"]["selector"]["matchLabels"].items())
    return Release(
        namespace,
        components,
        service,
        port,
        chart=str(labels.get("helm.sh/chart", "")),
        images=_image_ids(kube.list(PODS, namespace, labels=selected, empty_ok=True)),
        found=found_settings,
        helm=known,
        refused=refused,
    )


def _same_release(candidates: list[Object], gateway: Object, component: str, *, alone: bool) -> Object | None:
    """The candidate that is called after the gateway; any other only where there is one release in the namespace."""
    fullname = gateway["metadata"]["name"].removesuffix("-gateway")
    names = {f"{fullname}-{component}", f"{fullname}-endpoint-{component}"}
    fitting = [one for one in candidates if one["metadata"]["name"] in names]
    return next(iter(fitting or (candidates if alone and len(candidates) == 1 else [])), None)


def _service(kube: Kube, gateway: Object, where: str) -> tuple[str, int]:
    """The Service called as the gateway is, wherever it leads; else one that selects the gateway's pods."""
    namespace = gateway["metadata"]["namespace"]
    labels = gateway["spec"]["template"]["metadata"].get("labels") or {}
    name = gateway["metadata"]["name"]
    services = kube.list(SERVICES, namespace, empty_ok=True)
    fitting = [one for one in services if one["metadata"]["name"] in (name, name.removesuffix("-gateway"))]
    fitting = fitting or [one for one in services if _selects(one, labels)]
    assert fitting, f"no Service in namespace {namespace} is called as {where} or selects its pods"
    ports = sorted(fitting[0]["spec"]["ports"], key=lambda one: one.get("name") != "http")
    return fitting[0]["metadata"]["name"], ports[0]["port"]


def _selects(service: Object, labels: Mapping[str, str]) -> bool:
    selector = service["spec"].get("selector") or {}
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def _endpoint_namespace(kube: Kube, gateway: Object, namespace: str) -> tuple[str, str]:
    """From the service configuration that the gateway mounts; without one, the release's own namespace.

    `Unhealthy` where it mounts one that does not say.
    """
    volumes = gateway["spec"]["template"]["spec"].get("volumes") or []
    for mounted in [one["configMap"] for one in volumes if "configMap" in one]:
        name = mounted["name"]
        try:
            data = kube.get(CONFIG_MAPS, name, namespace).get("data") or {}
            config = yaml.safe_load(data.get(_LAUNCH, ""))
        except NotFound:
            continue
        except yaml.YAMLError:
            raise Unhealthy(_unread(kube, "malformed", namespace, name, f"holds a {_LAUNCH} that is no YAML")) from None
        if isinstance(config, dict) and config.get("endpoint_namespace"):
            return str(config["endpoint_namespace"]), f"ConfigMap {namespace}/{name}"
        if _LAUNCH in {item["key"] for item in mounted.get("items") or []}:
            raise Unhealthy(_unread(kube, "incomplete" if data else "empty", namespace, name, _WITHOUT[bool(data)]))
    return namespace, f"the release's namespace, since no service configuration in {namespace} names another"


def _unread(kube: Kube, what: str, namespace: str, name: str, said: str) -> Cause:
    return Cause(
        f"config.{what}/{namespace}/{name}",
        f"the ConfigMap {namespace}/{name} {said}",
        do="helm upgrade writes it again; or say where endpoints are: ENDPOINT_NAMESPACE",
        look=f"{kube.kubectl} -n {namespace} get configmap {name} -o yaml",
    )


def _image_ids(pods: Iterable[Object]) -> tuple[str, ...]:
    statuses = (one for pod in pods for one in pod.get("status", {}).get("containerStatuses") or [])
    return tuple(sorted({one["imageID"] for one in statuses if one.get("imageID")}))
