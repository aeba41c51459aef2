"""The HTTP client for products: what the user hears of each way in which a gateway can be broken, or not let us in."""

from __future__ import annotations

import socket
import ssl
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
import trustme
from scripted import RESET, Scripted, Spoken, answer

from seatrial.http import Http
from seatrial.network import proxy_for
from seatrial.record import Record, events
from seatrial.secret import Secret, Token
from seatrial.verdict import BadSettings, Refused, Unhealthy, Unreachable

TOKEN = "sandbox-user-token"
WHERE = "; address from GATEWAY_URL (environment), seen from this machine"
PAGE = "<html><body>Welcome to nginx!</body></html>"


def client(record: Record, url: str, *, timeout: float = 0.5, token: Token | None = None, **more) -> Http:
    return Http(
        url,
        record=record,
        token=token or Token(given=Secret(TOKEN), source="AUTH_TOKEN (environment)"),
        timeout=timeout,
        source="GATEWAY_URL (environment)",
        seen_from="this machine",
        **more,
    )


def hang(spoken: Spoken) -> Iterable[bytes]:
    spoken.over.wait(10)
    return ()


def drip_head(_: Spoken) -> Iterable[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    for _ in range(30):
        time.sleep(0.1)
        yield b"X-More: 1\r\n"


def drip_body(_: Spoken) -> Iterable[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    for _ in range(30):
        time.sleep(0.1)
        yield b"1"


def reset(_: Spoken) -> Iterable[bytes]:
    yield RESET


TRUNCATED = answer(200, "x" * 100).replace(b"x" * 100, b'{"model_endpoints": [')
BROKEN = {
    "silent": (hang, "accepts the connection and does not answer within 0.5 s"),
    "drips-head": (drip_head, "accepts the connection and does not answer within 0.5 s"),
    "drips": (drip_body, "begins to answer and does not end within 0.5 s"),
    "closes": (b"", "closes the connection without an answer: server disconnected without sending a response"),
    "resets": (reset, "closes the connection without an answer: connection reset by peer"),
    "speaks-nonsense": (
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        "does not speak HTTP: illegal status line: bytearray(b'SSH-2.0-OpenSSH_9.6')",
    ),
    "breaks-off": (TRUNCATED, "breaks off in the middle of its answer"),
    "truncated": (answer(200, '{"model_endpoints": ['), "answers 200 with truncated or malformed JSON"),
    "html": (answer(200, PAGE, "text/html"), "answers 200 with an HTML page, not as an API"),
    "html-unnamed": (answer(404, "\n<!DOCTYPE HTML>x", ""), "answers 404 with an HTML page, not as an API"),
    "ingress": (
        answer(502, PAGE, "text/html", Server="nginx"),
        "answers 502 through what stands before it, an ingress or a proxy",
    ),
    "mesh": (
        answer(503, "upstream connect error or disconnect/reset before headers", "text/plain"),
        "answers 503 through what stands before it, an ingress or a proxy",
    ),
}


@pytest.mark.parametrize(("says", "line"), BROKEN.values(), ids=BROKEN)
def test_a_broken_answer_is_the_deployments(record, says, line):
    with Scripted(says) as server, client(record, server.url) as http, pytest.raises(Unhealthy) as caught:
        http.call("GET", "/v1/model-endpoints")
    cause = caught.value.cause
    assert str(caught.value) == cause.line == f"the gateway at {server.url} {line}{WHERE}"
    assert cause.key.startswith("gateway/")
    assert cause.evidence[0].startswith(("GET /v1/model-endpoints: ", f"GET {server.url}/v1/model-endpoints: "))
    assert cause.do
    assert cause.look == f"curl -v {server.url}/"
    assert TOKEN not in repr(cause)


def test_a_refused_connection(record):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with client(record, url) as http, pytest.raises(Unhealthy) as caught:
        http.call("GET", "/healthz")
    assert str(caught.value) == f"the gateway at {url} cannot be connected to: connection refused{WHERE}"
    assert caught.value.cause.key == "gateway/refused"
    assert caught.value.cause.do == "see whether its pods run, and whether address and port are right"


def test_a_connection_that_nobody_accepts(record):
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        with client(record, url) as http, pytest.raises(Unhealthy) as caught:
            http.call("GET", "/healthz")
    assert str(caught.value) == f"the gateway at {url} accepts no connection within 0.5 s{WHERE}"


def test_a_total_deadline_holds(record):
    for says in (hang, drip_head, drip_body):
        with Scripted(says) as server, client(record, server.url, timeout=30) as http:
            began = time.monotonic()
            with pytest.raises(Unhealthy):
                http.call("GET", "/", timeout=0.3)
            assert time.monotonic() - began < 1


def test_answers_of_the_product_are_answers(record):
    ours = answer(500, '{"error": "Internal error occurred."}')
    plain_text = answer(500, "Internal Server Error", "text/plain")
    with Scripted(answer(200, "[]"), ours, answer(200, "", ""), plain_text) as it, client(record, it.url) as http:
        assert http.call("GET", "/v1/model-endpoints", params={"name": "a b"}).json() == []
        failed = http.call("POST", "/v1/model-endpoints", json={"name": "x"})
        assert (failed.status, failed.json()["error"]) == (500, "Internal error occurred.")
        healthy = http.call("GET", "/healthz", auth=False).expect(200)
        plain = http.call("GET", "/readyz")
    assert (healthy.text, plain.status) == ("", 500)
    assert [one.path for one in it.asked][:2] == ["/v1/model-endpoints?name=a+b", "/v1/model-endpoints"]
    assert [one.header("authorization") for one in it.asked] == [
        f"Bearer {TOKEN}",
        f"Bearer {TOKEN}",
        "",
        f"Bearer {TOKEN}",
    ]
    assert it.asked[1].body == b'{"name":"x"}'
    with pytest.raises(AssertionError) as caught:
        failed.expect(200, 201)
    assert str(caught.value) == (
        f'POST {it.url}/v1/model-endpoints answered 500, not 200 or 201: {{"error": "Internal error occurred."}}'
    )
    with pytest.raises(Unhealthy) as caught:
        plain.json()
    assert str(caught.value) == f"the gateway at {it.url} answers 500 without JSON{WHERE}"
    assert caught.value.cause.evidence == (f"GET {it.url}/readyz: 500: Internal Server Error",)


def test_every_call_is_an_event(record, tmp_path):
    with Scripted(answer(200, "{}"), b"") as server, client(record, server.url) as http:
        http.call("POST", "/v1/x", json={})
        with pytest.raises(Unhealthy):
            http.call("GET", "/v1/y")
    first, second = events(tmp_path / "run")
    assert {key: first[key] for key in ("kind", "method", "path", "status")} == {
        "kind": "http",
        "method": "POST",
        "path": "/v1/x",
        "status": 200,
    }
    assert first["ms"] >= 0
    assert (second["status"], second["error"]) == (0, "server disconnected without sending a response")


def test_our_refused_token(record):
    refused = answer(401, '{"detail":"Not authenticated"}')
    with Scripted(refused) as server, client(record, server.url) as http:
        with pytest.raises(Refused) as caught:
            http.call("GET", "/v1/model-endpoints")
        assert http.call("GET", "/v1/model-endpoints", auth=False).status == 401
        assert http.call("GET", "/v1/model-endpoints", auth="made-up-token").status == 401
    assert str(caught.value) == f'the gateway at {server.url} refused our token (401): {{"detail":"Not authenticated"}}'
    assert caught.value.source == "AUTH_TOKEN (environment)"
    assert caught.value.do == "give a token that it accepts; this one may have expired"
    assert [one.header("authorization") for one in server.asked] == [f"Bearer {TOKEN}", "", "Bearer made-up-token"]


def test_a_token_from_a_file_is_fetched_again_once(record, tmp_path):
    file = tmp_path / "token"
    file.write_text("first-token\n")

    def only_second(spoken: Spoken) -> Iterable[bytes]:
        known = spoken.header("authorization") == "Bearer second-token"
        file.write_text("second-token\n")
        yield answer(200, "[]") if known else answer(401, "{}")

    token = Token(file=file, source="AUTH_TOKEN_FILE (environment)")
    with Scripted(only_second) as server, client(record, server.url, token=token) as http:
        assert http.call("GET", "/").json() == []
        assert len(server.asked) == 2
    with Scripted(answer(403, "{}")) as server, client(record, server.url, token=token) as http:
        with pytest.raises(Refused) as caught:
            http.call("GET", "/")
        assert caught.value.source == "AUTH_TOKEN_FILE (environment)"
        assert len(server.asked) == 1


def test_a_token_from_a_command_that_stays_refused(record):
    token = Token(command=(sys.executable, "-c", "import time; print('minted', time.time_ns(), sep='-')"), source="x")
    with Scripted(answer(401, "{}")) as server, client(record, server.url, token=token) as http:
        with pytest.raises(Refused):
            http.call("GET", "/")
        assert len({one.header("authorization") for one in server.asked}) == len(server.asked) == 2


REDIRECTS = {
    "login": (
        "https://sso.corp.example/oauth2/authorize?state=abcdef&client_id=x",
        Refused,
        "GET {url}/healthz is redirected (302) to a login page, https://sso.corp.example/oauth2/authorize",
    ),
    "login-here": (
        "/login?next=/healthz",
        Refused,
        "GET {url}/healthz is redirected (302) to a login page, {url}/login",
    ),
    "elsewhere": (
        "https://gateway.example/healthz",
        BadSettings,
        "GET {url}/healthz is redirected (302) to https://gateway.example/healthz",
    ),
}


@pytest.mark.parametrize(("location", "kind", "line"), REDIRECTS.values(), ids=REDIRECTS)
def test_redirects(record, location, kind, line):
    with Scripted(answer(302, "", "", Location=location)) as server, client(record, server.url) as http:
        with pytest.raises(kind) as caught:
            http.call("GET", "/healthz", auth=False)
        assert len(server.asked) == 1
    assert str(caught.value) == line.format(url=server.url)
    assert caught.value.source == "GATEWAY_URL (environment)"
    assert caught.value.do


def test_a_redirect_within_the_product_is_an_answer(record):
    with Scripted(answer(307, "", "", Location="/v1/x/")) as server, client(record, server.url) as http:
        assert http.call("GET", "/v1/x").status == 307


def test_a_name_that_does_not_resolve(record):
    url = "http://model-engine.models.svc.cluster.local"
    with client(record, url) as http, pytest.raises(Unreachable) as caught:
        http.call("GET", "/healthz")
    assert str(caught.value) == f"the name in {url} does not resolve, seen from this machine"
    assert caught.value.source == "GATEWAY_URL (environment)"
    assert caught.value.do == "name an address that resolves here; a cluster name resolves only in its cluster"


def test_a_private_authority(record, tmp_path):
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    with Scripted(answer(200, "[]"), tls=tls) as server:
        with client(record, server.url, ca_bundle=bundle) as http:
            assert http.call("GET", "/").json() == []
        with client(record, server.url) as http, pytest.raises(BadSettings) as caught:
            http.call("GET", "/")
    assert str(caught.value) == (
        f"no TLS connection to {server.url}: its certificate is not trusted: unable to get local issuer certificate"
    )
    assert caught.value.do == "name its certificate authority with CA_BUNDLE, or correct scheme and host of the address"
    bundle.write_text("no certificate")
    with pytest.raises(BadSettings) as caught:
        client(record, server.url, ca_bundle=bundle)
    assert str(caught.value) == f"the certificates in {bundle} cannot be used: no certificate in it"


def test_an_expired_certificate(record, tmp_path):
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", not_after=datetime(2020, 1, 1, tzinfo=UTC)).configure_cert(tls)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with (
        Scripted(answer(200, "[]"), tls=tls) as server,
        client(record, server.url, ca_bundle=tmp_path / "ca.pem") as http,
        pytest.raises(Unhealthy) as caught,
    ):
        http.call("GET", "/")
    assert str(caught.value) == f"the gateway at {server.url} has a certificate that has expired{WHERE}"


def test_tls_where_none_is_spoken(record):
    with Scripted(answer(400)) as server:
        url = server.url.replace("http://", "https://")
        with client(record, url) as http, pytest.raises(BadSettings) as caught:
            http.call("GET", "/")
    assert str(caught.value).startswith(f"no TLS connection to {url}: no TLS: ")


def test_tls_that_never_comes_about(record):
    with Scripted(hang) as server:
        url = server.url.replace("http://", "https://")
        with client(record, url) as http, pytest.raises(Unhealthy) as caught:
            http.call("GET", "/")
    assert str(caught.value) == f"the gateway at {url} accepts the connection and does not answer within 0.5 s{WHERE}"


def test_proxies(record, monkeypatch):
    refused = answer(403, "no", "text/plain")
    with Scripted(answer(200, '"proxied"'), refused) as proxy, Scripted(answer(200, '"direct"')) as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("NO_PROXY", "10.0.0.0/8")
        monkeypatch.delenv("no_proxy", raising=False)
        with client(record, server.url) as http:
            assert http.call("GET", "/").json() == "direct"
        with client(record, "http://gateway.invalid") as http:
            assert http.call("GET", "/").json() == "proxied"
        with client(record, "https://gateway.invalid") as http, pytest.raises(Refused) as caught:
            http.call("GET", "/")
    assert str(caught.value) == "the HTTP proxy does not let us through to https://gateway.invalid: 403 X"
    assert caught.value.source == "HTTP_PROXY, HTTPS_PROXY (environment)"


def test_who_goes_through_a_proxy(monkeypatch):
    for name in ("HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "10.0.0.0/8,.corp.example,host.example:8443")
    proxied = ("https://gateway.example", "https://11.0.0.1", "https://host.example", "https://[2001:db8::1]")
    direct = (
        "http://gateway.example",
        "https://127.7.0.1:6443",
        "https://[::1]:6443",
        "https://localhost",
        "https://model-engine",
        "https://model-engine.models.svc",
        "https://model-engine.models.svc.cluster.local",
        "https://10.1.2.3",
        "https://x.corp.example",
        "https://host.example:8443",
    )
    assert {url: proxy_for(url) for url in proxied} == dict.fromkeys(proxied, "http://proxy:3128")
    assert {url: proxy_for(url) for url in direct} == dict.fromkeys(direct)
    assert proxy_for("https://10.1.2.3", "http://other:1") == "http://other:1"


def test_a_reading_client_refuses_to_write(record):
    with Scripted(answer(200, "[]")) as server, client(record, server.url, read_only=True) as http:
        http.call("GET", "/")
        with pytest.raises(BadSettings) as caught:
            http.call("POST", "/v1/model-endpoints", json={})
        assert len(server.asked) == 1
    assert str(caught.value) == "a run that only reads does not POST /v1/model-endpoints"


def test_a_better_reason_is_heard(record):
    def explain() -> None:
        raise Unreachable("the API server is gone")

    with (
        Scripted(b"") as server,
        client(record, server.url, explain=explain) as http,
        pytest.raises(Unreachable, match="the API server is gone"),
    ):
        http.call("GET", "/")


def test_nothing_shows_a_password_in_the_address(record):
    with (
        Scripted(b"") as server,
        client(record, server.url.replace("://", "://user:hunter2@")) as http,
        pytest.raises(Unhealthy) as caught,
    ):
        http.call("GET", "/")
    assert "hunter2" not in repr(caught.value.cause)
