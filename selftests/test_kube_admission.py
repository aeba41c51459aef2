"""What refuses or changes a pod before it is stored: Pod Security levels and admission webhooks."""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import trustme
from kube_api_server import Running, eventually
from kube_objects import config_map, deployment, pod
from kubernetes import client

pytest_plugins = ["kube_fixtures"]

SECURE = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def enforce(core: client.CoreV1Api, namespace: str, level: str) -> None:
    core.patch_namespace(namespace, {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": level}}})


def with_security(context: dict[str, Any], name: str = "one", **more: Any) -> dict[str, Any]:
    body = pod(name, **more)
    body["spec"]["containers"][0]["securityContext"] = context
    return body


def why_not(server: Running, namespace: str, body: dict[str, Any]) -> str:
    """What the refusal of that pod says, without its beginning."""
    answer = server.request("POST", f"/api/v1/namespaces/{namespace}/pods", body)
    assert (answer.status, answer.body["reason"]) == (403, "Forbidden"), answer
    before, _, text = answer.body["message"].partition(": ")
    assert before == f'pods "{body["metadata"]["name"]}" is forbidden'
    return str(text)


def test_restricted(core: client.CoreV1Api, api_server: Running, namespace: str) -> None:
    enforce(core, namespace, "restricted")
    # As a real API server said it of the same pod, see the recordings.
    assert why_not(api_server, namespace, pod("one")) == (
        'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "main" must set '
        'securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "main" must set '
        'securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "main" must set '
        'securityContext.runAsNonRoot=true), seccompProfile (pod or container "main" must set '
        'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'
    )
    core.create_namespaced_pod(namespace, with_security(SECURE))
    of_pod = {key: SECURE[key] for key in ("runAsNonRoot", "seccompProfile")}
    of_container = {key: SECURE[key] for key in ("allowPrivilegeEscalation", "capabilities")}
    core.create_namespaced_pod(namespace, with_security(of_container, "two", securityContext=of_pod))


@pytest.mark.parametrize(
    ("context", "of_pod", "said"),
    [
        ({"runAsUser": 0}, {}, 'runAsUser=0 (container "main" must not set runAsUser=0)'),
        ({}, {"runAsUser": 0}, "runAsUser=0 (pod must not set runAsUser=0)"),
        (
            {"runAsNonRoot": False},
            {},
            'runAsNonRoot != true (container "main" must not set securityContext.runAsNonRoot=false)',
        ),
        (
            {},
            {"runAsNonRoot": False},
            "runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false)",
        ),
        (
            {"seccompProfile": {"type": "Unconfined"}},
            {},
            'seccompProfile (container "main" must not set securityContext.seccompProfile.type to "Unconfined")',
        ),
        (
            {"capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}},
            {},
            'unrestricted capabilities (container "main" must not include "CHOWN" in securityContext.capabilities.add)',
        ),
    ],
)
def test_what_restricted_refuses_alone(
    core: client.CoreV1Api,
    api_server: Running,
    namespace: str,
    context: dict[str, Any],
    of_pod: dict[str, Any],
    said: str,
) -> None:
    enforce(core, namespace, "restricted")
    body = with_security({**SECURE, **context}, securityContext=of_pod)
    assert why_not(api_server, namespace, body) == f'violates PodSecurity "restricted:latest": {said}'


def test_restricted_volumes(core: client.CoreV1Api, api_server: Running, namespace: str) -> None:
    enforce(core, namespace, "restricted")
    volumes = [{"name": "host", "hostPath": {"path": "/"}}, {"name": "plain", "emptyDir": {}}]
    text = 'restricted volume types (volume "host" uses restricted volume type "hostPath")'
    body = with_security(SECURE, volumes=volumes)
    assert why_not(api_server, namespace, body) == f'violates PodSecurity "restricted:latest": {text}'


def test_baseline(core: client.CoreV1Api, api_server: Running, namespace: str) -> None:
    enforce(core, namespace, "baseline")
    core.create_namespaced_pod(namespace, pod("plain"))
    volumes = [{"name": "host-root", "hostPath": {"path": "/"}}]
    host = pod("one", hostNetwork=True, hostPID=True, hostIPC=True, volumes=volumes)
    # Recorded, too.
    assert why_not(api_server, namespace, host) == (
        'violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true, hostPID=true, hostIPC=true), '
        'hostPath volumes (volume "host-root")'
    )
    body = with_security({"privileged": True, "capabilities": {"add": ["NET_ADMIN"]}})
    body["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": 80}]
    body["spec"]["initContainers"] = [{"name": "first", "image": "busybox"}]
    assert why_not(api_server, namespace, body) == (
        'violates PodSecurity "baseline:latest": non-default capabilities (container "main" must not include '
        '"NET_ADMIN" in securityContext.capabilities.add), hostPort (container "main" uses hostPort 80), privileged '
        '(container "main" must not set securityContext.privileged=true)'
    )


def failed_creates(core: client.CoreV1Api, namespace: str) -> list[str]:
    events = core.list_namespaced_event(namespace, field_selector="reason=FailedCreate").items
    return [event.message for event in events]


def test_pods_of_controllers_are_refused_too(core: client.CoreV1Api, apps: client.AppsV1Api, namespace: str) -> None:
    enforce(core, namespace, "restricted")
    apps.create_namespaced_deployment(namespace, deployment("web"))

    def look() -> None:
        assert 'violates PodSecurity "restricted:latest"' in failed_creates(core, namespace)[0]

    eventually(look)


# Webhooks


class Hook:
    """A webhook's server: answers with what `decide` makes of the request."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.decide: Callable[[dict[str, Any]], Any] = lambda request: {"allowed": True}
        hook, authority = self, trustme.CA()
        self.ca_bundle = base64.b64encode(authority.cert_pem.bytes()).decode()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(context)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                hook.seen.append(review["request"])
                answer = hook.decide(review["request"])
                body = answer if isinstance(answer, bytes) else hook.review(review["request"], answer)
                with contextlib.suppress(OSError):  # whoever asked has given up
                    self.send_response(500 if body == b"broken" else 200)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_port}/admit"

    @staticmethod
    def review(request: dict[str, Any], response: dict[str, Any]) -> bytes:
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
        return json.dumps({**review, "response": {"uid": request["uid"], **response}}).encode()


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


Configure = Callable[..., None]


@pytest.fixture
def configure(api_client: client.ApiClient, hook: Hook, namespace: str) -> Iterator[Configure]:
    """Registers the hook for what happens to pods and ConfigMaps of the test's namespace."""
    registration = client.AdmissionregistrationV1Api(api_client)

    def made(kind: str, url: str = "", operations: tuple[str, ...] = ("CREATE",), **webhook: Any) -> None:
        rules = [{"operations": [*operations], "apiGroups": [""], "apiVersions": ["v1"]}]
        rules[0]["resources"] = ["pods", "pods/status", "configmaps"]
        selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
        body = {
            "name": "policy.example.org",
            "clientConfig": {"url": url} if url else {"url": hook.url, "caBundle": hook.ca_bundle},
            "rules": rules,
            "namespaceSelector": selector,
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            **webhook,
        }
        create = getattr(registration, f"create_{kind}_webhook_configuration")
        create({"metadata": {"name": namespace}, "webhooks": [body]})

    yield made
    for kind in ("mutating", "validating"):
        getattr(registration, f"delete_collection_{kind}_webhook_configuration")()


def without_team(request: dict[str, Any]) -> dict[str, Any]:
    if (request["object"]["metadata"].get("labels") or {}).get("team"):
        return {"allowed": True}
    return {"allowed": False, "status": {"code": 403, "reason": "Forbidden", "message": "label team is missing"}}


DENIED = 'admission webhook "policy.example.org" denied the request: label team is missing'


def test_a_policy_refuses(
    core: client.CoreV1Api,
    apps: client.AppsV1Api,
    api_server: Running,
    configure: Configure,
    hook: Hook,
    namespace: str,
) -> None:
    hook.decide = without_team
    configure("validating")
    answer = api_server.request("POST", f"/api/v1/namespaces/{namespace}/pods", pod("one"))
    assert (answer.status, answer.body["reason"], answer.body["message"]) == (403, "Forbidden", DENIED)
    (request,) = hook.seen
    assert (request["operation"], request["name"], request["namespace"]) == ("CREATE", "one", namespace)
    assert request["userInfo"] == {"username": "admin", "groups": ["system:masters", "system:authenticated"]}
    assert request["object"]["spec"]["restartPolicy"] == "Always"  # as it would be stored
    core.create_namespaced_pod(namespace, pod("two", labels={"team": "a"}))
    core.create_namespaced_secret(namespace, {"metadata": {"name": "no-rule"}})
    apps.create_namespaced_deployment(namespace, deployment("web"))

    def look() -> None:
        assert failed_creates(core, namespace) == [f"Error creating: {DENIED}"]

    eventually(look)
    user = "system:serviceaccount:kube-system:replicaset-controller"
    assert hook.seen[-1]["userInfo"]["username"] == user


def test_a_sidecar_is_injected(
    core: client.CoreV1Api, apps: client.AppsV1Api, configure: Configure, hook: Hook, namespace: str
) -> None:
    sidecar = {"name": "proxy", "image": "proxy:1"}
    operations = [{"op": "add", "path": "/spec/containers/-", "value": sidecar}]
    encoded = base64.b64encode(json.dumps(operations).encode()).decode()
    hook.decide = lambda request: {"allowed": True, "patchType": "JSONPatch", "patch": encoded}
    configure("mutating", objectSelector={"matchExpressions": [{"key": "plain", "operator": "DoesNotExist"}]})
    made = core.create_namespaced_pod(namespace, pod("one"))
    assert [item.name for item in made.spec.containers] == ["main", "proxy"]
    assert len(core.create_namespaced_pod(namespace, pod("two", labels={"plain": "yes"})).spec.containers) == 1
    selector = {"matchLabels": {"app": "db"}}
    template = {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "main", "image": "db:1"}]}}
    body = {"metadata": {"name": "db"}, "spec": {"replicas": 1, "selector": selector, "template": template}}
    apps.create_namespaced_stateful_set(namespace, body)
    apps.create_namespaced_deployment(namespace, deployment("web", replicas=2))

    def look() -> None:
        found = core.list_namespaced_pod(namespace, label_selector="app").items
        assert [len(item.spec.containers) for item in found] == [2, 2, 2]

    eventually(look)


def test_changes_and_deletes_are_reviewed(
    core: client.CoreV1Api, api_server: Running, configure: Configure, hook: Hook, namespace: str
) -> None:
    core.create_namespaced_config_map(namespace, config_map("one"))
    configure("validating", operations=("UPDATE", "DELETE"))
    path = f"/api/v1/namespaces/{namespace}/configmaps/one"
    hook.decide = lambda request: {"allowed": False}
    silent = 'admission webhook "policy.example.org" denied the request without explanation'
    for method, body in (("PUT", config_map("one", {"new": "1"})), ("DELETE", None)):
        answer = api_server.request(method, path, body)
        assert (answer.status, answer.body["message"]) == (400, silent)
    assert [request["operation"] for request in hook.seen] == ["UPDATE", "DELETE"]
    assert hook.seen[0]["oldObject"]["data"] == {"key": "value"}

    def meddle(request: dict[str, Any]) -> dict[str, Any]:
        if request["object"]["data"] == {"key": "theirs"}:
            return {"allowed": True}
        api_server.request("PATCH", path, {"data": {"key": "theirs"}}, content_type="application/merge-patch+json")
        return {"allowed": True}

    hook.decide = lambda request: {"allowed": True}
    core.create_namespaced_pod(namespace, pod("one"))
    core.patch_namespaced_pod_status("one", namespace, {"status": {"phase": "Failed"}})
    assert hook.seen[-1]["subResource"] == "status"
    hook.decide = meddle  # another write comes first
    assert api_server.request("PUT", path, config_map("one", {"new": "1"})).status == 409


@pytest.mark.parametrize(
    ("trouble", "policy"),
    [("gone", "Ignore"), *((trouble, "Fail") for trouble in ("gone", "hangs", "broken", "nonsense"))],
)
def test_a_webhook_that_fails(
    api_server: Running, configure: Configure, hook: Hook, namespace: str, trouble: str, policy: str
) -> None:
    slow = threading.Event()
    answers = {"broken": b"broken", "nonsense": b"{}", "hangs": b"{}"}

    def decide(request: dict[str, Any]) -> bytes:
        if trouble == "hangs":
            slow.wait(5)
        return answers[trouble]

    hook.decide = decide
    url = "https://127.0.0.1:1/admit" if trouble == "gone" else ""
    configure("mutating", url, failurePolicy=policy, timeoutSeconds=1)
    answer = api_server.request("POST", f"/api/v1/namespaces/{namespace}/pods", pod("one"))
    slow.set()
    if policy == "Ignore":
        assert answer.status == 201
        return
    why = {
        "gone": f'failed to call webhook: Post "{url}?timeout=1s": dial tcp 127.0.0.1:1: connect: connection refused',
        "hangs": f'failed to call webhook: Post "{hook.url}?timeout=1s": context deadline exceeded',
        "broken": 'an error on the server ("broken") has prevented the request from succeeding',
        "nonsense": "received invalid webhook response: no response object",
    }[trouble]
    assert (answer.status, answer.body["reason"]) == (500, "InternalError")
    text = f'Internal error occurred: failed calling webhook "policy.example.org": {why}'
    assert answer.body["message"] == text


def test_webhooks_that_are_not_served(api_server: Running) -> None:
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    for webhook in (
        {"clientConfig": {"service": {"name": "x"}}},
        {"clientConfig": {"url": "x"}, "matchConditions": [1]},
    ):
        body = {"metadata": {"name": "x"}, "webhooks": [{"name": "x", **webhook}]}
        assert api_server.request("POST", path, body).status == 501
