"""RBAC: what a user may do by the stored roles and bindings, and the refusals in kube-apiserver's words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.kube.cluster import Cluster
from sandbox.kube.errors import StatusError, forbidden
from sandbox.kube.objects import Object
from sandbox.kube.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES, Resource
from sandbox.kube.users import MASTERS, SERVICE_ACCOUNT, User


@dataclass(frozen=True)
class Attributes:
    """What a request is about, as far as rights go: a resource, or else a `path`; `namespace` is empty for all."""

    verb: str
    path: str = ""
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def combined(self) -> str:
        """The resource as rules and messages name it: ``pods/log``."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@dataclass(frozen=True)
class Decision:
    """`reason`: which binding allows it, or what hindered the search."""

    allowed: bool
    reason: str = ""


@dataclass(frozen=True)
class Granted:
    """The rules of one binding that names the user, and the words for it."""

    rules: list[Object]
    by: str


class Authorizer:
    """Answers from the roles and bindings as they are stored now."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def decide(self, user: User, asked: Attributes) -> Decision:
        """Whether the user may do that."""
        if MASTERS in user.groups:
            return Decision(True)
        missing: list[str] = []
        for granted in self.granted(user, asked.namespace, missing):
            if any(_allows(rule, asked) for rule in granted.rules):
                return Decision(True, f"RBAC: allowed by {granted.by}")
        text = missing[0] if len(missing) == 1 else f"[{', '.join(missing)}]"
        return Decision(False, f"RBAC: {text}" if missing else "")

    def check(self, user: User, asked: Attributes) -> None:
        """403 unless the user may do that."""
        decision = self.decide(user, asked)
        if not decision.allowed:
            raise refusal(user, asked, decision.reason)

    def granted(self, user: User, namespace: str, missing: list[str]) -> Iterator[Granted]:
        """What bindings give the user, in the namespace and everywhere; roles that do not exist go to `missing`."""
        bindings = [(item, "") for item in self._cluster.list(CLUSTER_ROLE_BINDINGS)]
        if namespace:
            bindings += [(item, namespace) for item in self._cluster.list(ROLE_BINDINGS, namespace)]
        for binding, inside in bindings:
            subject = next((each for each in binding.get("subjects") or [] if _is(each, user, inside)), None)
            if subject is None:
                continue
            role = self._role(binding["roleRef"], inside)
            if role is None:
                kind, name = binding["roleRef"]["kind"].lower(), binding["roleRef"]["name"]
                missing.append(f'{kind}.{ROLES.group} "{name}" not found')
            else:
                yield Granted(role.get("rules") or [], _described(binding, subject, inside))

    def _role(self, reference: Object, namespace: str) -> Object | None:
        if reference["kind"] == "ClusterRole":
            return self._cluster.store.get(CLUSTER_ROLES.key, "", reference["name"])
        return self._cluster.store.get(ROLES.key, namespace, reference["name"])


def _is(subject: Object, user: User, namespace: str) -> bool:
    if subject["kind"] == "Group":
        return subject["name"] in user.groups
    if subject["kind"] == "ServiceAccount":
        return f"{SERVICE_ACCOUNT}:{subject.get('namespace') or namespace}:{subject['name']}" == user.name
    return bool(subject["name"] == user.name)


def _described(binding: Object, subject: Object, namespace: str) -> str:
    role, name = binding["roleRef"], binding["metadata"]["name"]
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    named = f"{name}/{namespace}" if namespace else name
    who = subject["name"]
    if subject["kind"] == "ServiceAccount":
        who += f"/{subject.get('namespace') or namespace}"
    return f'{kind} "{named}" of {role["kind"]} "{role["name"]}" to {subject["kind"]} "{who}"'


def _allows(rule: Object, asked: Attributes) -> bool:
    if not _among(rule.get("verbs"), asked.verb):
        return False
    if asked.path:
        return any(_covers(pattern, asked.path) for pattern in rule.get("nonResourceURLs") or [])
    names = rule.get("resourceNames") or []
    resources = (asked.combined, *([f"*/{asked.subresource}"] if asked.subresource else []))
    return (
        _among(rule.get("apiGroups"), asked.group)
        and any(_among(rule.get("resources"), item) for item in resources)
        and (not names or asked.name in names)
    )


def _among(listed: list[str] | None, value: str) -> bool:
    return listed is not None and ("*" in listed or value in listed)


def _covers(pattern: str, path: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern


def refusal(user: User, asked: Attributes, reason: str) -> StatusError:
    """403."""
    because = f": {reason}" if reason else ""
    if asked.path:
        message = f'forbidden: User "{user.name}" cannot {asked.verb} path "{asked.path}"{because}'
        return StatusError(403, "Forbidden", message, {})
    scope = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    subject = f'resource "{asked.combined}" in API group "{asked.group}" {scope}'
    about = Resource(asked.group, asked.version, "", asked.resource)
    return forbidden(about, asked.name, f'User "{user.name}" cannot {asked.verb} {subject}{because}')
