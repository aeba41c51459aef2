"""Label and field selectors, parsed into predicates; errors in kube-apiserver's words."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sandbox.kube.errors import bad_request
from sandbox.kube.objects import Object, get
from sandbox.kube.resources import Resource

LabelMatcher = Callable[[dict[str, str] | None], bool]
ObjectMatcher = Callable[[Object], bool]

_TOKEN = re.compile(r"\s*([A-Za-z0-9./_-]+|==|!=|=|!|\(|\)|,)")

# The fields by which a kind can be selected, beside metadata.name and metadata.namespace (as in 1.36).
SELECTABLE_FIELDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "pods"): (
        "spec.hostNetwork",
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.nominatedNodeName",
        "status.phase",
        "status.podIP",
    ),
    ("", "events"): (
        "involvedObject.apiVersion",
        "involvedObject.fieldPath",
        "involvedObject.kind",
        "involvedObject.name",
        "involvedObject.namespace",
        "involvedObject.resourceVersion",
        "involvedObject.uid",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    ("", "secrets"): ("type",),
    ("", "namespaces"): ("status.phase",),
    ("", "nodes"): ("spec.unschedulable",),
    ("batch", "jobs"): ("status.successful",),
    ("apps", "replicasets"): ("status.replicas",),
}
_WHEN_ABSENT = {"spec.unschedulable": "false", "spec.hostNetwork": "false", "status.replicas": "0"}


def label_selector(text: str) -> LabelMatcher:
    """A predicate over labels for ``a=b,c!=d,e in (f,g),!h``; an empty text matches everything; 400 when malformed."""
    tokens, position = [], 0
    while position < len(text.rstrip()):
        match = _TOKEN.match(text, position)
        if not match:
            raise bad_request(f"unable to parse requirement: found '{text[position:].strip()}', expected: identifier")
        tokens.append(match[1])
        position = match.end()
    requirements = []
    while tokens:
        requirements.append(_requirement(tokens))
        if tokens and tokens.pop(0) != ",":
            raise bad_request(f"unable to parse requirement: {text}")
    return lambda labels: all(holds(labels or {}) for holds in requirements)


def _requirement(tokens: list[str]) -> Callable[[dict[str, str]], bool]:
    negated = tokens[0] == "!"
    if negated:
        tokens.pop(0)
    key = tokens.pop(0) if tokens else ""
    if not re.match(r"[A-Za-z0-9]", key):
        raise bad_request(f"unable to parse requirement: found '{key}', expected: identifier")
    operator = tokens[0] if tokens else ","
    if operator == ",":
        return lambda labels: (key in labels) != negated
    tokens.pop(0)
    if operator in ("=", "==", "!="):
        value = tokens.pop(0) if tokens and tokens[0] != "," else ""
        return lambda labels: (labels.get(key) == value) == (operator != "!=")
    if operator in ("in", "notin"):
        values = _values(tokens)
        return lambda labels: (labels.get(key) in values) == (operator == "in")
    raise bad_request(f"unable to parse requirement: found '{operator}', expected: in, notin, =, ==, !=, gt, lt")


def _values(tokens: list[str]) -> set[str]:
    opening = tokens.pop(0) if tokens else ""
    if opening != "(":
        raise bad_request(f"unable to parse requirement: found '{opening}' expected: '('")
    values = set()
    while tokens and tokens[0] != ")":
        token = tokens.pop(0)
        if token != ",":
            values.add(token)
    if not tokens:
        raise bad_request("unable to parse requirement: found '', expected: ',' or ')'")
    tokens.pop(0)
    return values


def field_selector(text: str, resource: Resource) -> ObjectMatcher:
    """A predicate over objects for ``status.phase=Running,metadata.name!=x``; 400 for a field it cannot select by."""
    requirements = []
    for part in filter(None, text.split(",")):
        match = re.match(r"([^=!]+)(==|!=|=)(.*)$", part)
        if not match:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        field, operator, value = match[1].strip(), match[2], match[3].strip()
        _check_field(field, text, resource)
        requirements.append((field, operator != "!=", value))
    return lambda obj: all((_field(obj, field) == value) == wanted for field, wanted, value in requirements)


def _check_field(field: str, selector: str, resource: Resource) -> None:
    selectable = SELECTABLE_FIELDS.get(resource.key, ())
    if field in ("metadata.name", "metadata.namespace") or field in selectable:
        return
    if selectable:
        raise bad_request(
            f'Unable to find "{resource.group}/{resource.version}, Resource={resource.plural}" that match label '
            f'selector "", field selector "{selector}": field label not supported: {field}'
        )
    raise bad_request(
        f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"',
    )


def _field(obj: Object, field: str) -> str:
    value: Any = get(obj, field, _WHEN_ABSENT.get(field, ""))
    if field == "source":
        return str(get(obj, "source.component", ""))
    return str(value).lower() if isinstance(value, bool) else str(value)


def matches_selector(selector: Object | None, labels: dict[str, str] | None) -> bool:
    """A LabelSelector object (matchLabels, matchExpressions) against labels; an absent selector matches nothing."""
    if selector is None:
        return False
    labels = labels or {}
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(matches_expression(item, labels) for item in selector.get("matchExpressions") or [])


def matches_expression(expression: Object, labels: dict[str, str]) -> bool:
    """One requirement of a LabelSelector or a node selector term: In, NotIn, Exists, DoesNotExist."""
    value, values = labels.get(expression["key"]), expression.get("values") or []
    return {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }[expression["operator"]]
