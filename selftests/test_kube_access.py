"""RBAC: who may do what, by roles and bindings, and what a refusal says."""

from __future__ import annotations

import time
from typing import Any

import pytest
from kube_api_server import TOKEN, Answer, Running
from kube_objects import config_map, pod

pytest_plugins = ["kube_fixtures"]

GROUP = "rbac.authorization.k8s.io"
REVIEWS = "/apis/authorization.k8s.io/v1"


class Limited:
    """The ServiceAccount ``reader`` of a namespace, without any right of its own to begin with."""

    def __init__(self, server: Running, namespace: str) -> None:
        self.server, self.namespace = server, namespace
        self.name = f"system:serviceaccount:{namespace}:reader"
        self.admin("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "reader"}})
        self.token = self.request_token()

    def admin(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = self.server.request(method, path, body, token=TOKEN)
        assert answer.status < 300, answer
        return answer.body

    def request_token(self, **spec: Any) -> str:
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/reader/token"
        return self.admin("POST", path, {"spec": spec})["status"]["token"]

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """A request of its own; ``{}`` in the path is the namespace."""
        return self.server.request(method, path.format(self.namespace), body, token=self.token)

    def denied(self, method: str, path: str, body: Any = None) -> str:
        answer = self.ask(method, path, body)
        assert (answer.status, answer.body["reason"]) == (403, "Forbidden"), answer
        return answer.body["message"]

    def role(self, name: str, *rules: dict[str, Any]) -> None:
        body = {"metadata": {"name": name}, "rules": list(rules)}
        self.admin("POST", f"/apis/{GROUP}/v1/namespaces/{self.namespace}/roles", body)

    def bind(self, name: str, kind: str = "Role") -> None:
        who = {"kind": "ServiceAccount", "name": "reader", "namespace": self.namespace}
        reference = {"apiGroup": GROUP, "kind": kind, "name": name}
        body = {"metadata": {"name": f"{name}-bound"}, "roleRef": reference, "subjects": [who]}
        self.admin("POST", f"/apis/{GROUP}/v1/namespaces/{self.namespace}/rolebindings", body)

    def may(self, **attributes: str) -> dict[str, Any]:
        spec = {"resourceAttributes": {"namespace": self.namespace, **attributes}}
        answer = self.ask("POST", f"{REVIEWS}/selfsubjectaccessreviews", {"spec": spec})
        assert answer.status == 201
        return answer.body["status"]


def rule(*verbs: str, resources: str = "pods", group: str = "", **more: Any) -> dict[str, Any]:
    return {"verbs": list(verbs), "apiGroups": [group], "resources": resources.split(), **more}


@pytest.fixture
def limited(api_server: Running, namespace: str) -> Limited:
    return Limited(api_server, namespace)


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        (
            "GET",
            "/api/v1/namespaces/{}/pods",
            'pods is forbidden: User "{who}" cannot list resource "pods" {core} {here}',
        ),
        (
            "GET",
            "/api/v1/namespaces/{}/pods?watch=true",
            'pods is forbidden: User "{who}" cannot watch resource "pods" {core} {here}',
        ),
        (
            "GET",
            "/api/v1/namespaces/{}/pods/one",
            'pods "one" is forbidden: User "{who}" cannot get resource "pods" {core} {here}',
        ),
        (
            "GET",
            "/api/v1/namespaces/{}/pods?fieldSelector=metadata.name=one",
            'pods "one" is forbidden: User "{who}" cannot list resource "pods" {core} {here}',
        ),
        (
            "GET",
            "/api/v1/namespaces/{}/pods/one/log",
            'pods "one" is forbidden: User "{who}" cannot get resource "pods/log" {core} {here}',
        ),
        (
            "DELETE",
            "/api/v1/namespaces/{}/pods",
            'pods is forbidden: User "{who}" cannot deletecollection resource "pods" {core} {here}',
        ),
        (
            "DELETE",
            "/apis/apps/v1/namespaces/{}/deployments/one",
            'deployments.apps "one" is forbidden: User "{who}" cannot delete resource "deployments" '
            'in API group "apps" {here}',
        ),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/{}/deployments/one/scale",
            'deployments.apps "one" is forbidden: User "{who}" cannot patch resource "deployments/scale" '
            'in API group "apps" {here}',
        ),
        (
            "GET",
            "/api/v1/nodes",
            'nodes is forbidden: User "{who}" cannot list resource "nodes" {core} at the cluster scope',
        ),
        (
            "GET",
            "/api/v1/namespaces/{}",
            'namespaces "{ns}" is forbidden: User "{who}" cannot get resource "namespaces" {core} {here}',
        ),
        (
            "POST",
            "/apis/example.org/v1/dragons",
            'dragons.example.org is forbidden: User "{who}" cannot create resource "dragons" '
            'in API group "example.org" at the cluster scope',
        ),
        ("GET", "/metrics", 'forbidden: User "{who}" cannot get path "/metrics"'),
    ],
)
def test_without_a_right(limited: Limited, method: str, path: str, message: str) -> None:
    words = {
        "who": limited.name,
        "core": 'in API group ""',
        "here": f'in the namespace "{limited.namespace}"',
        "ns": limited.namespace,
    }
    assert limited.denied(method, path) == message.format(**words)


def test_what_everybody_may(limited: Limited) -> None:
    assert limited.ask("GET", "/version").body["gitVersion"] == "v1.36.0"
    assert "apps/v1" in str(limited.ask("GET", "/apis").body)
    assert limited.ask("GET", "/apis/apps/v1").body["kind"] == "APIResourceList"
    review = limited.ask("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    assert review.body["status"]["userInfo"] == {
        "username": limited.name,
        "groups": ["system:serviceaccounts", f"system:serviceaccounts:{limited.namespace}", "system:authenticated"],
    }


def test_rules(limited: Limited) -> None:
    limited.role(
        "some",
        rule("get", "list", resources="pods pods/log"),
        rule("get", "watch", resources="configmaps", resourceNames=["mine"]),
        rule("create", resources="configmaps"),
        rule("*", resources="*/status", group="apps"),
        rule("update", resources="*", group="batch"),
    )
    limited.bind("some")
    for name in ("mine", "other"):
        body = config_map(name)
        assert limited.ask("POST", "/api/v1/namespaces/{}/configmaps", body).status == 201
    limited.admin("POST", f"/api/v1/namespaces/{limited.namespace}/pods", pod("one"))
    for path in ("pods", "pods/one", "pods/one/log", "configmaps/mine"):
        assert limited.ask("GET", f"/api/v1/namespaces/{{}}/{path}").status == 200, path
    by_name = "configmaps?watch=true&timeoutSeconds=1&fieldSelector=metadata.name=mine"
    assert limited.ask("GET", f"/api/v1/namespaces/{{}}/{by_name}").status == 200
    for path in ("configmaps", "configmaps/other", "secrets", "pods?watch=true"):
        limited.denied("GET", f"/api/v1/namespaces/{{}}/{path}")
    limited.denied("GET", "/api/v1/pods")
    reason = f'RBAC: allowed by RoleBinding "some-bound/{limited.namespace}" of Role "some" to '
    reason += f'ServiceAccount "reader/{limited.namespace}"'
    assert limited.may(verb="list", resource="pods") == {"allowed": True, "reason": reason}
    assert limited.may(verb="get", resource="configmaps", name="other") == {"allowed": False}
    assert limited.may(verb="patch", resource="deployments", subresource="status", group="apps")["allowed"]
    assert not limited.may(verb="patch", resource="deployments", group="apps")["allowed"]
    assert limited.may(verb="update", resource="jobs", subresource="status", group="batch")["allowed"]
    assert not limited.may(verb="list", resource="pods", namespace="")["allowed"]


def test_a_port_forward_is_created_whatever_it_begins_with(limited: Limited) -> None:
    limited.role("some", rule("get", resources="pods/portforward"))
    limited.bind("some")
    said = limited.denied("GET", "/api/v1/namespaces/{}/pods/one/portforward?ports=80")
    assert 'cannot create resource "pods/portforward"' in said
    limited.role("more", rule("create", resources="pods/portforward"))
    limited.bind("more")
    assert limited.ask("GET", "/api/v1/namespaces/{}/pods/one/portforward?ports=80").status == 404


def test_who_is_meant(limited: Limited, api_server: Running) -> None:
    limited.role("some", rule("list"))
    pods = f"/api/v1/namespaces/{limited.namespace}/pods"
    assert api_server.request("GET", pods, token="ro").status == 403
    limited.bind("some")
    assert limited.ask("GET", pods).status == 200
    subjects = [
        {"apiGroup": GROUP, "kind": "User", "name": "readonly"},
        {"apiGroup": GROUP, "kind": "Group", "name": f"system:serviceaccounts:{limited.namespace}"},
    ]
    path = f"/apis/{GROUP}/v1/namespaces/{limited.namespace}/rolebindings/some-bound"
    bound = limited.admin("GET", path)
    limited.admin("PUT", path, {**bound, "subjects": subjects})
    assert limited.ask("GET", pods).status == 200
    assert api_server.request("GET", pods, token="ro").status == 200
    # A ServiceAccount without a namespace is one of the binding's own.
    limited.admin(
        "PUT", path, {**limited.admin("GET", path), "subjects": [{"kind": "ServiceAccount", "name": "reader"}]}
    )
    assert limited.ask("GET", pods).status == 200


def test_cluster_roles(limited: Limited) -> None:
    roles, bindings = f"/apis/{GROUP}/v1/clusterroles", f"/apis/{GROUP}/v1/clusterrolebindings"
    name = f"nodes-of-{limited.namespace}"
    paths = {"verbs": ["get"], "nonResourceURLs": ["/metrics", "/logs/*"]}
    limited.admin("POST", roles, {"metadata": {"name": name}, "rules": [rule("list", resources="nodes pods"), paths]})
    limited.bind(name, "ClusterRole")  # in its namespace only
    assert limited.ask("GET", "/api/v1/namespaces/{}/pods").status == 200
    limited.denied("GET", "/api/v1/nodes")
    reference = {"apiGroup": GROUP, "kind": "ClusterRole", "name": name}
    who = {"kind": "ServiceAccount", "name": "reader", "namespace": limited.namespace}
    limited.admin("POST", bindings, {"metadata": {"name": name}, "roleRef": reference, "subjects": [who]})
    assert limited.ask("GET", "/api/v1/nodes").status == 200
    for path in ("/metrics", "/logs/x"):
        assert limited.ask("GET", path).status == 404
    by = f'RBAC: allowed by ClusterRoleBinding "{name}" of ClusterRole "{name}" to '
    by += f'ServiceAccount "reader/{limited.namespace}"'
    assert limited.may(verb="list", resource="nodes", namespace="") == {"allowed": True, "reason": by}
    spec = {"nonResourceAttributes": {"path": "/metrics", "verb": "get"}}
    assert limited.ask("POST", f"{REVIEWS}/selfsubjectaccessreviews", {"spec": spec}).body["status"]["allowed"]


def test_a_binding_without_its_role(limited: Limited) -> None:
    limited.bind("gone")
    missing = 'role.rbac.authorization.k8s.io "gone" not found'
    assert limited.denied("GET", "/api/v1/namespaces/{}/pods").endswith(f": RBAC: {missing}")
    assert limited.may(verb="get", resource="pods") == {"allowed": False, "reason": f"RBAC: {missing}"}
    limited.bind("gone-too", "ClusterRole")
    both = f'[{missing}, clusterrole.rbac.authorization.k8s.io "gone-too" not found]'
    assert limited.denied("GET", "/api/v1/namespaces/{}/pods").endswith(f": RBAC: {both}")
    review = {"spec": {"namespace": limited.namespace}}
    status = limited.ask("POST", f"{REVIEWS}/selfsubjectrulesreviews", review).body["status"]
    assert status["incomplete"]
    assert missing in status["evaluationError"]


def test_reviews_of_rules_and_of_others(limited: Limited) -> None:
    limited.role("some", rule("get", resources="secrets", resourceNames=["one"]))
    limited.bind("some")
    review = {"spec": {"namespace": limited.namespace}}
    status = limited.ask("POST", f"{REVIEWS}/selfsubjectrulesreviews", review).body["status"]
    assert rule("get", resources="secrets", resourceNames=["one"]) in status["resourceRules"]
    assert any("/version" in each["nonResourceURLs"] for each in status["nonResourceRules"])
    attributes = {"namespace": limited.namespace, "verb": "get", "resource": "secrets", "name": "one"}
    other = {"spec": {"user": limited.name, "resourceAttributes": attributes}}
    assert limited.admin("POST", f"{REVIEWS}/subjectaccessreviews", other)["status"]["allowed"]
    limited.denied("POST", f"{REVIEWS}/subjectaccessreviews", other)


def test_tokens_end(limited: Limited) -> None:
    limited.token = limited.request_token(expirationSeconds=1)
    assert limited.ask("GET", "/version").status == 200
    time.sleep(1)
    assert limited.ask("GET", "/version").status == 401
    limited.token = limited.request_token()
    limited.admin("DELETE", f"/api/v1/namespaces/{limited.namespace}/serviceaccounts/reader")
    assert limited.ask("GET", "/version").status == 401
