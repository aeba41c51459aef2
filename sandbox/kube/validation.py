"""What makes an object invalid (422), by field, in kube-apiserver's words."""

from __future__ import annotations

import json
import re
from typing import Any

from sandbox.kube import schema
from sandbox.kube.errors import Cause, invalid, not_served
from sandbox.kube.objects import Object, get
from sandbox.kube.resources import Resource
from sandbox.kube.selectors import matches_selector

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")

NAME_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    f"'{_SUBDOMAIN.pattern}')"
)
SERVICE_NAME_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    f"'{_LABEL.pattern}')"
)
LABEL_KEY_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    f"'{_QUALIFIED.pattern}')"
)
LABEL_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    f"'{_LABEL_VALUE.pattern}')"
)
POD_IMMUTABLE = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
POD_MUTABLE = {"activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations"}
SELECTING = ("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet")


def compact(value: Any) -> str:
    """JSON as Go writes it into messages."""
    return json.dumps(value, separators=(",", ":"))


def _value(value: Any, rule: str) -> str:
    return f"Invalid value: {compact(value)}: {rule}"


def check_name_given(resource: Resource, obj: Object) -> None:
    """422 for an object that has neither name nor generateName."""
    if not obj["metadata"].get("name"):
        missing = Cause("metadata.name", "FieldValueRequired", "Required value: name or generateName is required")
        raise invalid(resource, "", [missing])


def check(resource: Resource, obj: Object) -> None:
    """422 naming every cause; fills a custom resource's defaults in and prunes it."""
    causes = [*_metadata(resource, obj), *_SPECS.get(resource.kind, _no_spec)(obj)]
    if resource.schema is not None:
        causes += schema.apply(resource.schema, obj)
    if causes:
        raise invalid(resource, obj["metadata"]["name"], causes)


def check_update(resource: Resource, old: Object, new: Object) -> None:
    """As `check`, and 422 for a change of what cannot be changed."""
    causes = [*_metadata(resource, new), *_SPECS.get(resource.kind, _no_spec)(new)]
    if resource.schema is not None:
        causes += schema.apply(resource.schema, new)
    if resource.kind in SELECTING and get(old, "spec.selector") != get(new, "spec.selector"):
        text = f"Invalid value: {compact(get(new, 'spec.selector'))}: field is immutable"
        causes.append(Cause("spec.selector", "FieldValueInvalid", text))
    if resource.kind == "Pod" and _fixed_part(old) != _fixed_part(new):
        causes.append(Cause("spec", "FieldValueForbidden", POD_IMMUTABLE))
    if causes:
        raise invalid(resource, old["metadata"]["name"], causes)


def _fixed_part(pod: Object) -> Object:
    spec = {key: value for key, value in pod["spec"].items() if key not in POD_MUTABLE}
    for group in ("containers", "initContainers"):
        without_image = [{**container, "image": ""} for container in spec.get(group) or []]
        spec[group] = without_image
    return spec


def _metadata(resource: Resource, obj: Object) -> list[Cause]:
    name, causes = obj["metadata"]["name"], []
    # RBAC objects may have any path segment as their name, e.g. system:node.
    if resource.group != "rbac.authorization.k8s.io" and (len(name) > 253 or not _SUBDOMAIN.fullmatch(name)):
        causes.append(Cause("metadata.name", "FieldValueInvalid", _value(name, NAME_RULE)))
    elif resource.kind == "Service" and (len(name) > 63 or not _LABEL.fullmatch(name)):
        causes.append(Cause("metadata.name", "FieldValueInvalid", _value(name, SERVICE_NAME_RULE)))
    for key, value in (obj["metadata"].get("labels") or {}).items():
        causes += _label(key, value)
    return causes


def _label(key: str, value: str) -> list[Cause]:
    prefix, _, name = key.rpartition("/")
    causes = []
    if not _QUALIFIED.fullmatch(name) or len(name) > 63 or (prefix and not _SUBDOMAIN.fullmatch(prefix)):
        causes.append(Cause("metadata.labels", "FieldValueInvalid", _value(key, LABEL_KEY_RULE)))
    if len(value) > 63:
        text = _value(value, "must be no more than 63 bytes")
        causes.append(Cause("metadata.labels", "FieldValueInvalid", text))
    elif not _LABEL_VALUE.fullmatch(value):
        causes.append(Cause("metadata.labels", "FieldValueInvalid", _value(value, LABEL_VALUE_RULE)))
    return causes


def _no_spec(obj: Object) -> list[Cause]:
    return []


def _required(obj: Object, path: str) -> list[Cause]:
    return [] if get(obj, path) else [Cause(path, "FieldValueRequired", "Required value")]


def _selecting(obj: Object) -> list[Cause]:
    causes, replicas = [], get(obj, "spec.replicas", 0)
    if replicas < 0:
        text = f"Invalid value: {replicas}: must be greater than or equal to 0"
        causes.append(Cause("spec.replicas", "FieldValueInvalid", text))
    causes += _required(obj, "spec.selector")
    labels = get(obj, "spec.template.metadata.labels", {})
    if not matches_selector(get(obj, "spec.selector"), labels):
        text = f"Invalid value: {compact(labels)}: `selector` does not match template `labels`"
        causes.append(Cause("spec.template.metadata.labels", "FieldValueInvalid", text))
    return causes


def _job(obj: Object) -> list[Cause]:
    policy = get(obj, "spec.template.spec.restartPolicy")
    if policy in ("OnFailure", "Never"):
        return []
    text = f'Unsupported value: {compact(policy)}: supported values: "OnFailure", "Never"'
    return [Cause("spec.template.spec.restartPolicy", "FieldValueNotSupported", text)]


def _service(obj: Object) -> list[Cause]:
    portless = get(obj, "spec.clusterIP") == "None" or get(obj, "spec.type") == "ExternalName"
    return [] if portless else _required(obj, "spec.ports")


def _network_policy(obj: Object) -> list[Cause]:
    rules = get(obj, "spec.egress", [])
    if any("ipBlock" not in peer for rule in rules for peer in rule.get("to") or []):
        raise not_served("NetworkPolicies with egress to selected pods or namespaces, only to ipBlock")
    return []


def _webhooks(obj: Object) -> list[Cause]:
    for webhook in obj.get("webhooks") or []:
        unknown = [field for field in ("matchConditions",) if webhook.get(field)]
        if unknown or "url" not in (webhook.get("clientConfig") or {}):
            raise not_served(f"webhooks with {', '.join(unknown) or 'clientConfig.service'}, only clientConfig.url")
    return []


_SPECS = {
    **dict.fromkeys(SELECTING, _selecting),
    "Job": _job,
    "NetworkPolicy": _network_policy,
    "Pod": lambda obj: _required(obj, "spec.containers"),
    "Service": _service,
    "MutatingWebhookConfiguration": _webhooks,
    "ValidatingWebhookConfiguration": _webhooks,
}
