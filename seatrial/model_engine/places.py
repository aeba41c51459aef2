"""Where the parts of a release run: what a probe of ours needs to look from there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from seatrial.kube import Kube, NotFound, Object
from seatrial.model_engine.configuration import Configuration, look
from seatrial.model_engine.discovery import RUNS, Release
from seatrial.probe import Place
from seatrial.resources import CONFIG_MAPS

TEMPLATE = "deployment-runnable-image-sync-cpu.yaml"
"""Key of the service template that an endpoint on CPUs is made from."""
_LINE, _BLANK = re.compile(r"^\s*\$\{\w+\}\s*$", re.M), re.compile(r"\$\{(\w+)\}")
"""What the builder fills in: a line of its own becomes a mapping."""
AZURE = {"AZURE_CLIENT_ID": "client_id", "SERVICEBUS_NAMESPACE": "servicebus_namespace"}
"""Variables that the chart makes of the values below `azure`."""
IDENTITY = ("azure.workload.identity/use",)
"""The labels by which a cluster gives a pod its rights in the cloud: a probe wants them, too."""
DEFAULT = "default"
"""The service account that every namespace has."""


def of_component(release: Release, component: str) -> Place:
    """Where a component's pods run; AssertionError if the release has no such component."""
    assert component in release.components, f"no {component} was found in namespace {release.namespace}"
    return of_template(release.components[component]["spec"]["template"], release.namespace, RUNS.get(component, ""))


def of_template(template: Object, namespace: str, runs: str = "") -> Place:
    """Where the pods of a template run: as its container whose command line holds `runs`, else its first."""
    spec = template["spec"]
    containers = spec["containers"]
    main = next((one for one in containers if runs and runs in _command(one)), containers[0])
    return Place(
        namespace,
        spec.get("serviceAccountName") or spec.get("serviceAccount") or DEFAULT,
        main["image"],
        pull_secrets=tuple(one["name"] for one in spec.get("imagePullSecrets") or ()),
        env=tuple(main.get("env") or ()),
        env_from=tuple(main.get("envFrom") or ()),
        volumes=tuple(spec.get("volumes") or ()),
        volume_mounts=tuple(main.get("volumeMounts") or ()),
        node_selector=dict(spec.get("nodeSelector") or {}),
        tolerations=tuple(spec.get("tolerations") or ()),
        labels={name: value for name, value in _labels(template).items() if name in IDENTITY},
    )


def _labels(template: Object) -> dict[str, str]:
    found: dict[str, str] = (template.get("metadata") or {}).get("labels") or {}
    return found


def of_endpoints(kube: Kube, release: Release, namespace: str, configuration: Configuration) -> Place:
    """Where endpoints on CPUs run, by the template that the builder makes them from; its image is the forwarder's.

    Of the template's environment and volumes nothing is kept: they name objects that only an endpoint has.
    """
    template = service_template(kube, release)
    if template is None:
        account = str(look(configuration.values, "serviceTemplate.serviceAccountName") or "model-engine")
        return Place(namespace, account, configuration.image("forwarder"), pull_secrets=configuration.pull_secrets)
    place = of_template(template, namespace)
    images = [one["image"] for one in template["spec"]["containers"] if "forwarder" in one["name"]]
    return Place(
        namespace,
        place.service_account,
        images[0] if images else place.image,
        pull_secrets=place.pull_secrets,
        node_selector=place.node_selector,
        tolerations=place.tolerations,
        labels=place.labels,
    )


def git_tag(release: Release) -> str:
    """The tag that the gateway's variable GIT_TAG, and so the builder, puts into the template."""
    place = of_component(release, "gateway")
    return plain_env(place).get("GIT_TAG") or place.image.partition("@")[0].rpartition(":")[2]


def plain_env(place: Place) -> dict[str, str]:
    """The variables whose values stand in the template itself."""
    return {one["name"]: str(one.get("value") or "") for one in place.env if "valueFrom" not in one}


def secret_keys(place: Place) -> dict[str, tuple[str, str]]:
    """The variables that come from a Secret: its name and the key in it."""
    found = {}
    for one in place.env:
        if reference := (one.get("valueFrom") or {}).get("secretKeyRef"):
            found[one["name"]] = (reference["name"], reference["key"])
    return found


def service_template(kube: Kube, release: Release, key: str = TEMPLATE) -> Object | None:
    """The pod template of endpoints, on CPUs where no other `key` is asked for; None if there is none."""
    found = template_text(kube, release, key)
    if found is None:
        return None
    text, where = found
    try:
        template: Object = yaml.safe_load(_filled(text, git_tag(release)))["spec"]["template"]
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise AssertionError(f"{where} is no Deployment: {' '.join(str(error).split())[:200]}") from None
    return template


def template_text(kube: Kube, release: Release, key: str) -> tuple[str, str] | None:
    """What stands under `key` in the ConfigMap that the builder mounts, and where that is, as messages name it; None if
    there is none."""
    component = "builder" if "builder" in release.components else "gateway"
    place = of_component(release, component)
    for name in [one["configMap"]["name"] for one in place.volumes if "configMap" in one]:
        try:
            text = (kube.get(CONFIG_MAPS, name, release.namespace).get("data") or {}).get(key)
        except NotFound:
            continue
        if text:
            return str(text), f"{key} in ConfigMap {release.namespace}/{name}"
    return None


def before_install(configuration: Configuration, namespace: str, part: str = "gateway") -> Place:
    """Where the chart will put a part, as far as it is there already: under the namespace's `default` account."""
    account = configuration.fullname
    note = f"asked under the service account {DEFAULT}: {account} is not there before the install"
    secret = look(configuration.values, "secrets.kubernetesDatabaseSecretName")
    env: list[Mapping[str, Any]] = list(look(configuration.values, "extraEnvVars") or [])
    if secret:
        reference = {"secretKeyRef": {"name": str(secret), "key": "database_url"}}
        env.append({"name": "ML_INFRA_DATABASE_URL", "valueFrom": reference})
    host, port = look(configuration.values, "redisHost"), look(configuration.values, "redisPort")
    if host:
        env += [{"name": "REDIS_HOST", "value": str(host)}, {"name": "REDIS_PORT", "value": str(port or 6379)}]
    env += [
        {"name": name, "value": str(value)}
        for name, key in AZURE.items()
        if (value := look(configuration.values, f"azure.{key}"))
    ]
    if token := look(configuration.values, "redis.authSecretName"):
        key = look(configuration.values, "redis.authSecretKey") or "auth_token"
        reference = {"secretKeyRef": {"name": str(token), "key": str(key)}}
        env.append({"name": "REDIS_AUTH_TOKEN", "valueFrom": reference})
    return Place(
        namespace,
        DEFAULT,
        configuration.image(part),
        pull_secrets=configuration.pull_secrets,
        env=tuple(env),
        node_selector={str(k): str(v) for k, v in (look(configuration.values, "nodeSelector") or {}).items()},
        tolerations=tuple(look(configuration.values, "tolerations") or ()),
        labels=dict.fromkeys(IDENTITY, "true") if look(configuration.values, "azure") else {},
        note=note,
    )


def _filled(template: str, tag: str) -> str:
    """The template as YAML: with the release's tag, and for every other blank its name."""
    return _BLANK.sub(lambda blank: tag if blank[1] == "GIT_TAG" else blank[1].lower(), _LINE.sub("", template))


def _command(container: Object) -> str:
    return " ".join([*(container.get("command") or []), *(container.get("args") or [])])
