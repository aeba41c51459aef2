"""The roles and bindings that a cluster has from its first moment, as far as somebody here needs them."""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.kube.objects import Object
from sandbox.kube.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, Resource
from sandbox.kube.users import AUTHENTICATED, MASTERS, NODES, UNAUTHENTICATED

READ = ("get", "list", "watch")
WRITE_EVENTS = ("create", "patch", "update")
PUBLIC = ("/healthz", "/livez", "/readyz", "/version", "/version/")
DISCOVERY = (*PUBLIC, "/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*")


def _rule(verbs: tuple[str, ...], group: str, *resources: str) -> Object:
    return {"verbs": list(verbs), "apiGroups": [group], "resources": list(resources)}


def _paths(*paths: str) -> Object:
    return {"verbs": ["get"], "nonResourceURLs": list(paths)}


RULES: dict[str, list[Object]] = {
    "cluster-admin": [_rule(("*",), "*", "*"), {"verbs": ["*"], "nonResourceURLs": ["*"]}],
    "system:basic-user": [
        _rule(("create",), "authorization.k8s.io", "selfsubjectaccessreviews", "selfsubjectrulesreviews"),
        _rule(("create",), "authentication.k8s.io", "selfsubjectreviews"),
    ],
    "system:discovery": [_paths(*DISCOVERY)],
    "system:public-info-viewer": [_paths(*PUBLIC)],
    "system:node": [
        _rule((*READ, "create", "patch", "update"), "", "nodes"),
        _rule(("patch", "update"), "", "nodes/status", "pods/status"),
        _rule((*READ, "create", "delete"), "", "pods"),
        _rule(READ, "", "configmaps", "secrets"),
        _rule(("create",), "", "serviceaccounts/token"),
        _rule(WRITE_EVENTS, "", "events"),
    ],
    "system:node-proxier": [
        _rule(("list", "watch"), "", "endpoints", "services"),
        _rule(("list", "watch"), "discovery.k8s.io", "endpointslices"),
    ],
    "network-plug-in": [
        _rule(("list", "watch"), "", "pods"),
        _rule(("list", "watch"), "networking.k8s.io", "networkpolicies"),
    ],
}
# Who has which role. A real cluster gives nodes their rights by an authorizer of its own that looks at each pod.
BOUND = (
    ("cluster-admin", "cluster-admin", "Group", MASTERS),
    ("system:basic-user", "system:basic-user", "Group", AUTHENTICATED),
    ("system:discovery", "system:discovery", "Group", AUTHENTICATED),
    ("system:public-info-viewer", "system:public-info-viewer", "Group", AUTHENTICATED),
    ("system:public-info-viewer:anonymous", "system:public-info-viewer", "Group", UNAUTHENTICATED),
    ("system:node", "system:node", "Group", NODES),
    ("system:node-proxier", "system:node-proxier", "User", "system:kube-proxy"),
    ("network-plug-in", "network-plug-in", "User", "network-plug-in"),
)


def objects() -> Iterator[tuple[Resource, Object]]:
    """Each with its resource type."""
    label = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    for name, rules in RULES.items():
        yield CLUSTER_ROLES, {"metadata": {"name": name, "labels": label}, "rules": rules}
    for name, role, kind, subject in BOUND:
        group = CLUSTER_ROLES.group
        binding = {
            "metadata": {"name": name, "labels": label},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": group, "kind": kind, "name": subject}],
        }
        yield CLUSTER_ROLE_BINDINGS, binding
