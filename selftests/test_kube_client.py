"""The Kubernetes client: against the sandbox's API server, and what the user hears of each way not to get in."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from api_server import write_config
from scripted import CLOSE, Scripted, Spoken, answer

from seatrial.kube import ApiError, Conflict, Forbidden, Kube, NotFound
from seatrial.record import events
from seatrial.resources import CONFIG_MAPS, DEPLOYMENTS, NODES, PODS, SCALED_OBJECTS, VPAS, Asked
from seatrial.verdict import BadSettings, NotJudged, Reason, Refused, Unreachable

TOKEN = "secret-token-of-somebody"


def settings_of(name: str, **labels: str) -> dict:
    return {"metadata": {"name": name, "labels": labels}, "data": {"key": "1"}}


def test_an_object_from_birth_to_death(kube):
    made = kube.create(CONFIG_MAPS, settings_of("x", run="t5"), "models")
    assert kube.get(CONFIG_MAPS, "x", "models") == made
    changed = kube.patch(CONFIG_MAPS, "x", "models", {"data": {"key": "2"}})
    assert changed["data"] == {"key": "2"}
    patch = [{"op": "replace", "path": "/data/key", "value": "3"}]
    assert kube.patch(CONFIG_MAPS, "x", "models", patch, kind="json")["data"] == {"key": "3"}
    with pytest.raises(Conflict):
        kube.create(CONFIG_MAPS, settings_of("x"), "models")
    kube.delete(CONFIG_MAPS, made)
    with pytest.raises(NotFound) as caught:
        kube.get(CONFIG_MAPS, "x", "models")
    assert str(caught.value) == 'get configmaps models/x: 404 configmaps "x" not found'
    assert isinstance(caught.value, LookupError)


def test_a_delete_takes_only_what_was_read(kube):
    old = kube.create(CONFIG_MAPS, settings_of("x"), "models")
    kube.delete(CONFIG_MAPS, old)
    kube.create(CONFIG_MAPS, settings_of("x"), "models")
    with pytest.raises(Conflict):
        kube.delete(CONFIG_MAPS, old)
    assert kube.get(CONFIG_MAPS, "x", "models")
    with pytest.raises(NotFound):
        kube.delete(CONFIG_MAPS, {"metadata": {"name": "y", "namespace": "models", "uid": "u"}})


def test_lists(kube):
    for name in "ab":
        kube.create(CONFIG_MAPS, settings_of(name, letter=name), "models")
    assert [one["metadata"]["name"] for one in kube.list(CONFIG_MAPS, "models", labels="letter=b")] == ["b"]
    assert [one["metadata"]["name"] for one in kube.list(CONFIG_MAPS, fields="metadata.name=a")] == ["a"]
    assert kube.list(PODS, "models", empty_ok=True) == []
    with pytest.raises(AssertionError) as caught:
        kube.list(CONFIG_MAPS, "models", labels="letter=c", fields="metadata.name=a")
    assert str(caught.value) == "no configmaps with labels letter=c and fields metadata.name=a in namespace models"
    with pytest.raises(AssertionError) as caught:
        kube.list(DEPLOYMENTS)
    assert str(caught.value) == "no deployments.apps in any namespace"
    with pytest.raises(NotFound) as caught:
        kube.list(SCALED_OBJECTS, "models", empty_ok=True)
    assert str(caught.value) == (
        "list scaledobjects.keda.sh in namespace models: 404 the API server does not know this path"
    )


def test_what_the_server_serves(kube):
    assert kube.version() == "v1.36.0"
    assert [kube.serves(one) for one in (PODS, DEPLOYMENTS, VPAS, SCALED_OBJECTS)] == [True, True, False, False]


def test_what_is_refused_otherwise_is_a_bug_of_ours(kube):
    with pytest.raises(ApiError) as caught:
        kube.create(CONFIG_MAPS, {"metadata": {"name": "Not A Name"}}, "models")
    assert caught.value.status == 422
    assert not isinstance(caught.value, LookupError | Conflict | NotJudged | AssertionError)
    for namespace, resource in (("", PODS), ("models", NODES)):
        with pytest.raises(ValueError, match="does not go with"):
            kube.get(resource, "x", namespace)


def test_every_call_is_an_event(kube, tmp_path):
    kube.list(PODS, "models", empty_ok=True)
    with pytest.raises(NotFound):
        kube.get(DEPLOYMENTS, "x", "models")
    seen = [{key: one[key] for key in ("verb", "object", "namespace", "status")} for one in events(tmp_path / "run")]
    assert seen == [
        {"verb": "create", "object": "namespaces", "namespace": "", "status": 201},
        {"verb": "list", "object": "pods models", "namespace": "models", "status": 200},
        {"verb": "get", "object": "deployments.apps models/x", "namespace": "models", "status": 404},
    ]


def test_who_only_reads_does_not_write(tmp_path, record):
    with Scripted(answer(200, "{}")) as server:
        config = write_config(tmp_path / "config", server.url, {"token": TOKEN})
        with Kube.connect(config, "prod", record=record, read_only=True) as kube:
            kube.get(PODS, "x", "models")
            for write in (
                lambda: kube.create(PODS, {}, "models"),
                lambda: kube.patch(PODS, "x", "models", {}),
                lambda: kube.delete(PODS, {"metadata": {"name": "x", "namespace": "models", "uid": "u"}}),
            ):
                with pytest.raises(BadSettings) as caught:
                    write()
        assert len(server.asked) == 1
    assert str(caught.value) == "a run that only reads does not delete pods models/x"
    assert (caught.value.source, caught.value.do) == ("read_only", "leave --read-only away")


def test_pages_are_one_list(tmp_path, record):
    first = answer(200, json.dumps({"items": [{"n": 1}], "metadata": {"continue": "more"}}))
    last = answer(200, json.dumps({"items": [{"n": 2}], "metadata": {}}))
    with Scripted(first, last) as server:
        config = write_config(tmp_path / "config", server.url, {"token": TOKEN})
        with Kube.connect(config, "prod", record=record) as kube:
            assert kube.list(PODS, "models", labels="a=b") == [{"n": 1}, {"n": 2}]
    assert [one.path for one in server.asked] == [
        "/api/v1/namespaces/models/pods?limit=500&labelSelector=a%3Db",
        "/api/v1/namespaces/models/pods?limit=500&labelSelector=a%3Db&continue=more",
    ]


def test_a_list_whose_continuation_has_expired_begins_anew(tmp_path, record):
    first = answer(200, json.dumps({"items": [{"n": 1}], "metadata": {"continue": "more"}}))
    old = status(410, "Expired", "The provided continue parameter is too old")
    last = answer(200, json.dumps({"items": [{"n": 1}, {"n": 2}], "metadata": {}}))
    with Scripted(first, old, last, first, old) as server:
        config = write_config(tmp_path / "config", server.url, {"token": TOKEN})
        with Kube.connect(config, "prod", record=record) as kube:
            assert kube.list(PODS, "models") == [{"n": 1}, {"n": 2}]
            assert "continue" not in server.asked[-1].path
            with pytest.raises(Unreachable, match=r"\(410\): The provided continue parameter is too old"):
                kube.list(PODS, "models")


def test_logs(tmp_path, record):
    waits = status(400, "BadRequest", 'container "main" in pod "x" is waiting to start: ContainerCreating')
    unnamed = status(400, "BadRequest", "a container name must be specified for pod x, choose one of: [a b]")
    with Scripted(answer(200, '{"level": "INFO"}\n', "text/plain"), waits, unnamed) as server:
        config = write_config(tmp_path / "config", server.url, {"token": TOKEN})
        with Kube.connect(config, "prod", record=record) as kube:
            assert kube.logs("x", "models", container="main", previous=True, tail=5) == '{"level": "INFO"}\n'
            with pytest.raises(NotFound) as caught:
                kube.logs("x", "models")
            with pytest.raises(ApiError) as bug:
                kube.logs("x", "models")
    assert server.asked[0].path == "/api/v1/namespaces/models/pods/x/log?container=main&previous=true&tailLines=5"
    assert str(caught.value) == (
        'get pods/log models/x: 400 container "main" in pod "x" is waiting to start: ContainerCreating'
    )
    assert not isinstance(bug.value, NotFound)


def status(code: int, reason: str, message: str) -> bytes:
    return answer(code, json.dumps({"kind": "Status", "code": code, "reason": reason, "message": message}))


def hang(spoken: Spoken) -> Iterable[bytes]:
    spoken.over.wait(10)
    return ()


def drip(spoken: Spoken) -> Iterable[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    while not spoken.over.wait(0.1):
        yield b" "


def truncated(_: Spoken) -> Iterable[bytes]:
    yield answer(200, "x" * 50).replace(b"x" * 50, b'{"items":')
    yield CLOSE


RULE = '{apiGroups: ["apps"], resources: ["deployments"], verbs: ["list"]}'
LOGIN = "kubectl --kubeconfig {config} --context prod get --raw /version"
BAD_ANSWERS = {
    "refused token": (
        status(401, "Unauthorized", "Unauthorized"),
        Refused,
        "the API server {url} refused the credentials of context prod (401): they are expired or revoked",
        f"log in again, until this works: {LOGIN}",
    ),
    "no right": (
        status(403, "Forbidden", 'deployments.apps is forbidden: User "jane" cannot list resource "deployments"'),
        Forbidden,
        f"context prod may not list deployments.apps in namespace models: the rule {RULE} is missing",
        "bind jane to a Role with that rule in namespace models",
    ),
    "login page": (
        answer(302, "", "", Location="https://sso.example/login?state=abc"),
        Refused,
        "what answers at {url} is no Kubernetes API server: it redirects (302) to https://sso.example/login",
        f"correct the server's address, or log in where this leads: {LOGIN} -v 6",
    ),
    "html": (
        answer(200, "<html>Sign in</html>", "text/html; charset=utf-8"),
        Refused,
        "what answers at {url} is no Kubernetes API server: it answers 200 with text/html",
        f"correct the server's address, or log in where this leads: {LOGIN} -v 6",
    ),
    "not kubernetes": (
        answer(404, '{"detail":"Not Found"}'),
        Refused,
        "what answers at {url} is no Kubernetes API server: it answers 404 with application/json",
        f"correct the server's address, or log in where this leads: {LOGIN} -v 6",
    ),
    "malformed": (
        answer(200, '{"items": ['),
        Refused,
        "what answers at {url} is no Kubernetes API server: it answers 200 with application/json",
        f"correct the server's address, or log in where this leads: {LOGIN} -v 6",
    ),
    "too many requests": (
        status(429, "TooManyRequests", "too many requests, please try again later"),
        Unreachable,
        "the API server {url} (context prod) cannot answer now (429): too many requests, please try again later",
        "look at its health: kubectl --kubeconfig {config} --context prod get --raw /readyz",
    ),
    "no etcd": (
        status(500, "InternalError", "etcdserver: request timed out"),
        Unreachable,
        "the API server {url} (context prod) cannot answer now (500): etcdserver: request timed out",
        "look at its health: kubectl --kubeconfig {config} --context prod get --raw /readyz",
    ),
    "load balancer": (
        answer(503, "<html>", "text/html"),
        Unreachable,
        "the API server {url} (context prod) cannot answer now (503): Service Unavailable",
        "look at its health: kubectl --kubeconfig {config} --context prod get --raw /readyz",
    ),
    "hangs": (
        hang,
        Unreachable,
        "the API server {url} (context prod) does not answer within 0.5 s",
        "check the way there from this machine, VPN and proxy: kubectl --kubeconfig {config} --context prod version",
    ),
    "drips": (
        drip,
        Unreachable,
        "the API server {url} (context prod) does not answer within 0.5 s",
        "check the way there from this machine, VPN and proxy: kubectl --kubeconfig {config} --context prod version",
    ),
    "truncated": (
        truncated,
        Unreachable,
        "the API server {url} (context prod) breaks the connection: peer closed connection without sending complete "
        "message body (received 9 bytes, expected 50)",
        "check the way there from this machine, VPN and proxy: kubectl --kubeconfig {config} --context prod version",
    ),
}


@pytest.mark.parametrize(("says", "kind", "line", "do"), BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_what_the_user_hears(tmp_path, record, says, kind, line, do):
    with Scripted(says) as server:
        config = write_config(tmp_path / "config", server.url, {"token": TOKEN})
        kube = Kube.connect(config, "prod", record=record, source="--context", timeout=0.5)
        with kube, pytest.raises(kind) as caught:
            kube.list(DEPLOYMENTS, "models")
    assert str(caught.value) == line.replace("{url}", server.url)
    assert caught.value.source == "--context"
    assert caught.value.do == do.replace("{config}", str(config))
    assert TOKEN not in (tmp_path / "run" / "events.main.jsonl").read_text()


def test_a_missing_right_for_the_whole_cluster(tmp_path, record):
    with Scripted(status(403, "Forbidden", 'nodes is forbidden: User "jane" cannot list resource "nodes"')) as server:
        config = write_config(tmp_path / "config", server.url, {"token": TOKEN})
        with Kube.connect(config, "prod", record=record) as kube, pytest.raises(Forbidden) as caught:
            kube.list(NODES)
    rule = '{apiGroups: [""], resources: ["nodes"], verbs: ["list"]}'
    assert caught.value.rule == rule
    assert isinstance(caught.value, Refused)
    assert str(caught.value) == f"context prod may not list nodes: the rule {rule} is missing"
    assert caught.value.do == "bind jane to a ClusterRole with that rule"
    assert caught.value.source == f"kubeconfig {config}"


def test_a_port_forward_that_wants_another_verb(tmp_path, record):
    said = 'pods "x" is forbidden: User "jane" cannot create resource "pods/portforward" in API group ""'
    with Scripted(status(403, "Forbidden", said)) as server:
        config = write_config(tmp_path / "config", server.url, {"token": TOKEN})
        with Kube.connect(config, "prod", record=record) as kube, pytest.raises(Forbidden) as caught:
            kube.stream(Asked("get", PODS, "models", "x", "portforward"), {"ports": "80"}, "v4.channel.k8s.io")
    assert caught.value.rule == '{apiGroups: [""], resources: ["pods/portforward"], verbs: ["create"]}'


def test_a_missing_right_for_a_path(tmp_path, record):
    with Scripted(status(403, "Forbidden", 'forbidden: User "system:anonymous" cannot get path "/version"')) as server:
        config = write_config(tmp_path / "config", server.url, {})
        with Kube.connect(config, "prod", record=record) as kube, pytest.raises(Forbidden) as caught:
            kube.version()
    rule = '{nonResourceURLs: ["/version"], verbs: ["get"]}'
    assert str(caught.value) == f"context prod may not get /version: the rule {rule} is missing"
    assert server.asked[0].header("authorization") == ""


def test_an_object_that_is_not_admitted(tmp_path, record):
    denied = 'pods "probe" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'
    with Scripted(status(403, "Forbidden", denied)) as server:
        config = write_config(tmp_path / "config", server.url, {"token": TOKEN})
        with Kube.connect(config, "prod", record=record) as kube, pytest.raises(NotJudged) as caught:
            kube.create(PODS, {}, "models")
    assert caught.value.reason is Reason.ADMISSION
    assert str(caught.value) == f"create pods in namespace models was not admitted: {denied}"


def test_a_server_that_is_not_there(tmp_path, record):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"https://127.0.0.1:{taken.getsockname()[1]}"
    config = write_config(tmp_path / "config", url, {"token": TOKEN})
    with Kube.connect(config, "prod", record=record) as kube, pytest.raises(Unreachable) as caught:
        kube.version()
    assert str(caught.value) == f"the API server {url} (context prod) cannot be reached: connection refused"
    config = write_config(tmp_path / "config", "https://api.invalid:6443", {"token": TOKEN})
    with Kube.connect(config, None, record=record) as kube, pytest.raises(Unreachable) as caught:
        kube.version()
    assert str(caught.value) == (
        "the API server https://api.invalid:6443 (context prod) cannot be reached: the name does not resolve"
    )


@pytest.fixture
def tls() -> tuple[ssl.SSLContext, trustme.CA]:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context, authority


VERSION = answer(200, '{"gitVersion": "v1.36.0"}')


def test_a_private_authority(tmp_path, record, tls):
    context, authority = tls
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    with Scripted(VERSION, tls=context) as server:
        config = write_config(tmp_path / "config", server.url, {"token": TOKEN})
        with Kube.connect(config, "prod", record=record) as kube, pytest.raises(Unreachable) as caught:
            kube.version()
        with Kube.connect(config, "prod", record=record, ca_bundle=bundle) as kube:
            assert kube.version() == "v1.36.0"
        config = write_config(tmp_path / "config", server.url, {"token": TOKEN}, **{"insecure-skip-tls-verify": True})
        with Kube.connect(config, "prod", record=record) as kube:
            assert kube.version() == "v1.36.0"
    assert str(caught.value) == (
        f"the API server {server.url} (context prod) cannot be reached: "
        "its certificate is not trusted: unable to get local issuer certificate"
    )


def test_a_client_certificate(tmp_path, record, tls):
    context, authority = tls
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    mine = authority.issue_cert("jane@corp.example")
    data = {
        "client-certificate-data": base64.b64encode(mine.cert_chain_pems[0].bytes()).decode(),
        "client-key-data": base64.b64encode(mine.private_key_pem.bytes()).decode(),
    }
    ca = base64.b64encode(authority.cert_pem.bytes()).decode()
    with Scripted(VERSION, tls=context) as server:
        config = write_config(tmp_path / "config", server.url, data, **{"certificate-authority-data": ca})
        with Kube.connect(config, "prod", record=record) as kube:
            assert kube.version() == "v1.36.0"
            assert kube.url == server.url


def test_a_name_of_its_own_in_the_certificate(tmp_path, record):
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("kubernetes.example").configure_cert(context)
    data = base64.b64encode(authority.cert_pem.bytes()).decode()
    with Scripted(VERSION, tls=context) as server:
        names = {"certificate-authority-data": data, "tls-server-name": "kubernetes.example"}
        config = write_config(tmp_path / "config", server.url, {"token": TOKEN}, **names)
        with Kube.connect(config, "prod", record=record) as kube:
            assert kube.version() == "v1.36.0"


def test_proxies(tmp_path, record, monkeypatch):
    refused = answer(403, "no", "text/plain")
    with Scripted(VERSION) as server, Scripted(refused) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("https_proxy", proxy.url)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        config = write_config(tmp_path / "config", server.url, {"token": TOKEN})
        with Kube.connect(config, "prod", record=record) as kube:
            assert kube.version() == "v1.36.0"
        config = write_config(tmp_path / "config", "https://api.invalid", {"token": TOKEN})
        with Kube.connect(config, "prod", record=record) as kube, pytest.raises(Unreachable) as caught:
            kube.version()
        assert str(caught.value) == (
            "the API server https://api.invalid (context prod) cannot be reached through the HTTP proxy: 403 X"
        )
    with Scripted(refused) as other:
        config = write_config(tmp_path / "config", "https://api.invalid", {"token": TOKEN}, **{"proxy-url": other.url})
        with Kube.connect(config, "prod", record=record) as kube, pytest.raises(Unreachable):
            kube.version()
        assert [one.path for one in other.asked] == ["api.invalid:443"]


PLUGIN = """
import datetime, json, pathlib, sys
count = pathlib.Path(sys.argv[1])
turn = int(count.read_text()) + 1 if count.exists() else 1
count.write_text(str(turn))
status = {{"token": f"token-of-turn-{{turn}}", "expirationTimestamp": {expiry!r}}}
print(json.dumps({{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}}))
"""


def plugin(tmp_path: Path, program: str) -> dict:
    """A user whose credentials come from a Python program."""
    args = ["-c", program, str(tmp_path / "count")]
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "args": args}}


def test_a_credential_plugin_is_asked_again_when_its_token_expires(tmp_path, record):
    soon = (datetime.now(UTC) + timedelta(seconds=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    with Scripted(VERSION) as server:
        config = write_config(tmp_path / "config", server.url, plugin(tmp_path, PLUGIN.format(expiry=soon)))
        with Kube.connect(config, "prod", record=record) as kube:
            kube.version()
            kube.version()
    assert [one.header("authorization") for one in server.asked] == ["Bearer token-of-turn-2", "Bearer token-of-turn-3"]


def test_a_credential_plugin_that_fails(tmp_path, record):
    program = "import sys; sys.exit('The SSO session has expired. To refresh run: aws sso login')"
    config = write_config(tmp_path / "config", "https://127.0.0.1:1", plugin(tmp_path, program))
    with pytest.raises(Refused) as caught:
        Kube.connect(config, "prod", record=record)
    assert str(caught.value) == (
        "the credential plug-in of context prod gives no credentials: "
        "process returned 1. The SSO session has expired. To refresh run: aws sso login"
    )
    assert caught.value.source == f"kubeconfig {config}"


def test_a_token_that_was_replaced_is_read_again_once(tmp_path, record):
    token = tmp_path / "token"
    token.write_text("first-token")

    def replaced(spoken: Spoken) -> Iterable[bytes]:
        token.write_text("second-token")
        known = spoken.header("authorization") == "Bearer second-token"
        yield VERSION if known else status(401, "Unauthorized", "Unauthorized")

    with Scripted(replaced) as server:
        config = write_config(tmp_path / "config", server.url, {"tokenFile": str(token)})
        with Kube.connect(config, "prod", record=record) as kube:
            assert kube.version() == "v1.36.0"
            assert kube.version() == "v1.36.0"
    assert len(server.asked) == 3


BAD_CONFIGS = {
    "missing": (None, "No configuration found"),
    "empty": ("", "{config} file is empty"),
    "not yaml": (f"users: [{{token: {TOKEN}\nx: y: z", "it is no YAML, see line 2"),
    "a list": ("[1, 2]", "it is malformed"),
    "no such context": (
        json.dumps({"contexts": [], "clusters": [], "users": [{"name": "u", "user": {"token": TOKEN}}]}),
        "Expected object with name prod in {config}/contexts list",
    ),
    "no cluster in the context": (
        json.dumps({"contexts": [{"name": "prod", "context": {"token": TOKEN}}], "users": [], "clusters": []}),
        "Expected key cluster in {config}/context",
    ),
}


@pytest.mark.parametrize(("text", "what"), BAD_CONFIGS.values(), ids=BAD_CONFIGS)
def test_a_kubeconfig_that_cannot_be_used(tmp_path, record, text, what):
    config = tmp_path / "config"
    if text is not None:
        config.write_text(text)
    with pytest.raises(BadSettings) as caught:
        Kube.connect(config, "prod", record=record, source="KUBECONFIG (environment)")
    assert str(caught.value).startswith(f"kubeconfig {config} cannot be used: {what.format(config=config)}")
    assert caught.value.source == "KUBECONFIG (environment)"
    assert caught.value.do == "correct it, or name another with KUBECONFIG"
    assert TOKEN not in str(caught.value)


def test_a_kubeconfig_that_cannot_be_read(tmp_path, record):
    with pytest.raises(BadSettings) as caught:
        Kube.connect(tmp_path, "prod", record=record)
    assert str(caught.value) == f"kubeconfig {tmp_path} cannot be used: Is a directory"


def test_no_kubeconfig_outside_a_cluster(record, monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(BadSettings) as caught:
        Kube.connect(None, None, record=record)
    assert str(caught.value) == "no kubeconfig, and this is no pod of a cluster"
    assert caught.value.do == "set KUBECONFIG or --context, or run the HTTP checks alone with --no-cluster"


def test_the_kubectl_command_to_copy(tmp_path, record, monkeypatch):
    config = write_config(tmp_path / "config", "https://127.0.0.1:1", {"token": TOKEN})
    with Kube.connect(config, "prod", record=record) as kube:
        assert kube.kubectl == f"kubectl --kubeconfig {config} --context prod"
        monkeypatch.setenv("KUBECONFIG", str(config))
        assert kube.kubectl == "kubectl --context prod"


def test_names_as_kubectl_and_rbac_have_them():
    log = Asked("get", PODS, "models", "x", "log")
    assert (str(log), log.object) == ("get pods/log models/x", "pods/log models/x")
    assert log.rule == '{apiGroups: [""], resources: ["pods/log"], verbs: ["get"]}'
    assert str(Asked("list", DEPLOYMENTS)) == "list deployments.apps in all namespaces"
    assert Asked("list", DEPLOYMENTS, "models").path == "/apis/apps/v1/namespaces/models/deployments"


def test_a_name_that_is_none_leads_nowhere_else() -> None:
    assert PODS.path("models", "../secrets") == "/api/v1/namespaces/models/pods/..%2Fsecrets"
    assert PODS.path("models", "a", "log") == "/api/v1/namespaces/models/pods/a/log"
