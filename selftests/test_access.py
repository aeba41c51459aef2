"""Ways to a cluster that are hard to go: API servers that stumble, credentials that end, rights that are few."""

from __future__ import annotations

import json
import shlex
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from api_server import TOKEN, Api, write_config
from kube_proxy import Exchange, KubeProxy, closed, cut, hang, said, tunnel
from sandboxes import Sandbox, Underway, judged
from scripted import Scripted, answer

from seatrial.kube import Forbidden, Kube
from seatrial.record import Record, events
from seatrial.resources import CONFIG_MAPS, NAMESPACES, PODS
from seatrial.run import Run
from seatrial.verdict import NotJudged, Reason, Refused, Unreachable
from seatrial.wait import Wait

SYNC = "sync and not async and tier_a"
"""What of a run needs the sync endpoint alone."""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One API server with the namespace models and three ConfigMaps in it."""
    with Api(tmp_path_factory.mktemp("api")) as api:
        record = Record(Run("t5k2m9x7qd", tmp_path_factory.mktemp("record")))
        with Kube.connect(api.config, "sandbox", record=record) as kube:
            kube.create(NAMESPACES, {"metadata": {"name": "models"}})
            for name in "abc":
                kube.create(CONFIG_MAPS, {"metadata": {"name": name}}, "models")
        record.close()
        yield api


@pytest.fixture
def proxy(api: Api) -> Iterator[KubeProxy]:
    """What stands between the client and that server."""
    with KubeProxy(api.url) as proxy:
        yield proxy


@pytest.fixture
def kube(api: Api, proxy: KubeProxy, record: Record, tmp_path: Path) -> Iterator[Kube]:
    """A client that goes through the proxy and gives up an answer after a second."""
    config = proxy.kubeconfig(api.config, tmp_path / "kubeconfig")
    with Kube.connect(config, "sandbox", record=record, timeout=1) as kube:
        yield kube


def there(kube: Kube, name: str) -> bool:
    assert any(one["metadata"]["name"] == name for one in kube.list(CONFIG_MAPS, "models")), f"no {name} yet"
    return True


def test_an_api_server_that_goes_away_in_mid_wait_and_comes_back(kube: Kube, proxy: KubeProxy) -> None:
    """Refused connections, cut and hanging answers, refusals: whatever passes is ridden out."""
    for name, trouble in {
        "hangs": lambda: proxy.on("^GET", hang, times=1),
        "closes": lambda: proxy.on("^GET", closed, times=3),
        "breaks off": lambda: proxy.on("^GET", cut(300), times=3),
        "is overloaded": lambda: proxy.on("^GET", said(429, "TooManyRequests", "later", Retry_After="1"), times=1),
        "is not ready": lambda: proxy.on("^GET", said(503, "ServiceUnavailable", "starting"), times=2),
    }.items():
        trouble()
        assert Wait().until(lambda: there(kube, "a"), 20, what=name)

    def back_soon() -> None:
        with proxy.gone():
            away.set()
            threading.Event().wait(0.7)

    away, looks = threading.Event(), []
    thread = threading.Thread(target=back_soon)
    thread.start()
    away.wait(5)

    def look() -> bool:
        looks.append(1)
        return there(kube, "a")

    assert Wait().until(look, 20, what="an object")
    assert len(looks) > 1
    thread.join()


def test_an_api_server_that_stays_away_is_one_line(kube: Kube, proxy: KubeProxy) -> None:
    """After the minute, times the run's factor, and not at the timeout of what was waited for."""
    with proxy.gone(), pytest.raises(Unreachable) as caught:
        Wait(factor=0.02).until(lambda: there(kube, "a"), 60 / 0.02, what="an object")
    assert caught.value.reason is Reason.UNREACHABLE
    assert str(caught.value) == f"the API server {proxy.url} (context sandbox) cannot be reached: connection refused"
    assert caught.value.do.startswith("check the way there from this machine, VPN and proxy: kubectl ")


def test_a_busy_api_server_is_asked_again_when_it_says(kube: Kube, proxy: KubeProxy, tmp_path: Path) -> None:
    busy = proxy.on("^GET", said(429, "TooManyRequests", "try again later", Retry_After="1"), times=2)
    assert kube.get(CONFIG_MAPS, "a", "models")
    assert busy.hits == 2
    asked = [one for one in events(tmp_path / "run") if one["kind"] == "kube"]
    assert [one["status"] for one in asked] == [429, 429, 200]
    assert asked[-1]["time"] - asked[0]["time"] >= 2


def test_a_busy_api_server_that_asks_for_too_much_patience(kube: Kube, proxy: KubeProxy) -> None:
    busy = proxy.on("^GET", said(429, "TooManyRequests", "try again later", Retry_After="600"))
    with pytest.raises(Unreachable, match=r"cannot answer now \(429\): try again later"):
        kube.get(CONFIG_MAPS, "a", "models")
    assert busy.hits == 1


def test_what_changes_something_is_never_repeated(kube: Kube, proxy: KubeProxy) -> None:
    made = {"metadata": {"name": "d"}}
    for trouble in (said(429, "TooManyRequests", "later", Retry_After="0"), closed):
        rule = proxy.on("^POST", trouble)
        with pytest.raises(Unreachable):
            kube.create(CONFIG_MAPS, made, "models")
        assert rule.hits == 1


def test_a_log_that_is_cut_is_read_again(kube: Kube, proxy: KubeProxy) -> None:
    text = "".join(f"line {number}\n" for number in range(100))

    def whole(exchange: Exchange) -> None:
        exchange.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
        exchange.say(f"{len(text):x}\r\n{text}\r\n0\r\n\r\n".encode())

    def half(exchange: Exchange) -> None:
        exchange.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
        exchange.say(f"{len(text):x}\r\n{text[:50]}".encode())

    proxy.on("/pods/x/log", whole)
    cuts = proxy.on("/pods/x/log", half, times=1)
    assert kube.logs("x", "models") == text
    assert cuts.hits == 1
    proxy.on("/pods/x/log", half)
    with pytest.raises(Unreachable, match="breaks the connection"):
        kube.logs("x", "models")


def test_a_right_that_is_taken_in_mid_run_is_named(kube: Kube, proxy: KubeProxy) -> None:
    line = 'configmaps is forbidden: User "jane" cannot list resource "configmaps" in API group ""'
    proxy.on("/configmaps", said(403, "Forbidden", line))
    with pytest.raises(Forbidden) as caught:
        Wait().until(lambda: there(kube, "a"), 20, what="an object")
    assert caught.value.rule == '{apiGroups: [""], resources: ["configmaps"], verbs: ["list"]}'


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (403, 'pods "x" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false'),
        (403, 'admission webhook "validate.kyverno.svc" denied the request: label team is required'),
        (500, 'Internal error occurred: failed calling webhook "x": no endpoints available for service "webhook"'),
    ],
)
def test_what_is_not_admitted(kube: Kube, proxy: KubeProxy, code: int, message: str) -> None:
    proxy.on("^POST .*/pods", said(code, "Forbidden", message))
    with pytest.raises(NotJudged) as caught:
        kube.create(PODS, {"metadata": {"name": "x"}}, "models")
    assert caught.value.reason is Reason.ADMISSION
    assert message in caught.value.line


# -- credentials ------------------------------------------------------------------------------------------------------

PLUGIN = """
import json, pathlib, sys
count = pathlib.Path(sys.argv[1])
turn = int(count.read_text()) + 1 if count.exists() else 1
count.write_text(str(turn))
status = {{"token": f"short-lived-{{turn}}", "expirationTimestamp": {expiry!r}}}
print(json.dumps({{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}}))
"""


def plugin(tmp_path: Path) -> dict:
    """A plug-in that says of each of its tokens that it lasts."""
    lasts = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    run = {"command": sys.executable, "args": ["-c", PLUGIN.format(expiry=lasts), str(tmp_path / "count")]}
    return {"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never", **run}


def short_lived(proxy: KubeProxy, api: Api, tmp_path: Path) -> tuple[str, set[str]]:
    """A kubeconfig whose plug-in says that its tokens last, and the tokens that the server has stopped to take."""
    ended: set[str] = set()

    def check(exchange: Exchange) -> None:
        if exchange.spoken.header("authorization").removeprefix("Bearer ") in ended:
            said(401, "Unauthorized", "Unauthorized")(exchange)
        else:
            exchange.pass_on(replaced={"Authorization": f"Bearer {TOKEN}"})

    proxy.on("", check)
    return proxy.kubeconfig(api.config, tmp_path / "exec", exec=plugin(tmp_path)), ended


def test_a_token_that_ends_in_mid_run_is_fetched_again(
    proxy: KubeProxy, api: Api, record: Record, tmp_path: Path
) -> None:
    """Whatever its plug-in says: it was revoked. In the middle of a wait, and of a create."""
    config, ended = short_lived(proxy, api, tmp_path)
    with Kube.connect(config, "sandbox", record=record) as kube:
        assert there(kube, "a")
        ended |= {f"short-lived-{turn}" for turn in range(1, 4)}
        assert (tmp_path / "count").read_text() < "4"
        (tmp_path / "count").write_text("3")
        assert Wait().until(lambda: there(kube, "a"), 20, what="an object")
        assert kube.create(CONFIG_MAPS, {"metadata": {"generateName": "e-"}}, "models")
        ended |= {f"short-lived-{turn}" for turn in range(100)}
        with pytest.raises(Refused) as caught:
            Wait().until(lambda: there(kube, "a"), 20, what="an object")
    assert "refused the credentials of context sandbox (401): they are expired or revoked" in str(caught.value)
    assert "short-lived-" not in json.dumps(list(events(tmp_path / "run")))


def test_a_plugin_that_is_missing(proxy: KubeProxy, api: Api, record: Record, tmp_path: Path) -> None:
    exec_ = {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin", "interactiveMode": "Never"}
    with pytest.raises(Refused) as caught:
        Kube.connect(proxy.kubeconfig(api.config, tmp_path / "exec", exec=exec_), "sandbox", record=record)
    assert "the credential plug-in of context sandbox gives no credentials: " in str(caught.value)
    assert "no-such-plugin" in str(caught.value)
    assert "\n" not in str(caught.value)


# -- the way there ----------------------------------------------------------------------------------------------------


def test_a_remote_api_server_behind_an_https_proxy(record: Record, tmp_path: Path) -> None:
    """CONNECT leads to it; its private authority is the kubeconfig's, or comes with CA_BUNDLE."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("api.remote.example").configure_cert(context)
    ca = tmp_path / "ca.pem"
    ca.write_bytes(authority.cert_pem.bytes())
    version = answer(200, '{"gitVersion": "v1.36.0"}')
    with Scripted(version, tls=context) as server, KubeProxy(f"http://127.0.0.1:{server.port}") as proxy:
        proxy.on("^CONNECT api.remote.example:6443", tunnel)
        cluster = {"proxy-url": proxy.url}
        config = write_config(tmp_path / "config", "https://api.remote.example:6443", {}, **cluster)
        with Kube.connect(config, "prod", record=record, ca_bundle=ca) as kube:
            assert kube.version() == "v1.36.0"
        with Kube.connect(config, "prod", record=record) as kube, pytest.raises(Unreachable) as caught:
            kube.version()
    assert "its certificate is not trusted" in str(caught.value)
    assert {one.partition(" ")[0] for one in proxy.asked} == {"CONNECT"}


# -- whole runs -------------------------------------------------------------------------------------------------------


@pytest.mark.prove
def test_a_run_on_a_way_that_stumbles_is_green(released: Sandbox, tmp_path: Path) -> None:
    """Its credentials last a moment, the API server goes away while an endpoint is waited for, and is busy at times."""
    real = f"Bearer {released.up['kube_token']}"
    now = {"turn": 0}

    def check(exchange: Exchange) -> None:
        turn = int(exchange.spoken.header("authorization").rpartition("-")[2] or 0)
        if turn <= now["turn"]:
            said(401, "Unauthorized", "Unauthorized")(exchange)
        else:
            exchange.pass_on(replaced={"Authorization": real})

    def disturb(run: Underway) -> None:
        run.await_text("waiting for sync endpoint:")
        now["turn"] = int((tmp_path / "count").read_text())
        with proxy.gone():
            time.sleep(1)
        proxy.on("^GET .*/pods", said(429, "TooManyRequests", "later", Retry_After="1"), times=2)

    with KubeProxy(released.up["kube_url"]) as proxy:
        proxy.on("", check)
        config = proxy.kubeconfig(released.up["kubeconfig"], tmp_path / "exec", exec=plugin(tmp_path))
        environment = released.environment() | {"KUBECONFIG": config}
        run = judged(tmp_path / "run", "-k", SYNC, during=disturb, **environment)
    assert run.code == 0, run.out
    assert int((tmp_path / "count").read_text()) > now["turn"] > 0
    assert released.left(run.run["run"]) == []
    assert "short-lived" not in run.out


@pytest.mark.prove
def test_a_run_whose_api_server_stays_away(released: Sandbox, tmp_path: Path) -> None:
    """An error with one line, and what could not be looked at is said to be left."""
    with KubeProxy(released.up["kube_url"]) as proxy, ExitStack() as stack:

        def disturb(run: Underway) -> None:
            run.await_text("waiting for sync endpoint:")
            stack.enter_context(proxy.gone())

        config = proxy.kubeconfig(released.up["kubeconfig"], tmp_path / "kubeconfig")
        environment = released.environment() | {"KUBECONFIG": config}
        run = judged(tmp_path / "run", "-k", SYNC, during=disturb, timeout=200, **environment)
    assert run.verdicts["tier_a/sync_endpoint_serves"] == "error (unreachable)", run.out
    assert "cannot be reached: connection refused" in run.out
    assert "Traceback" not in run.out


@pytest.mark.prove
def test_a_run_whose_credentials_end_for_good(released: Sandbox, tmp_path: Path) -> None:
    """One line for all that it could not judge; what is left is listed, and swept once somebody has logged in again."""
    with KubeProxy(released.up["kube_url"]) as proxy:

        def disturb(run: Underway) -> None:
            run.await_text("waiting for sync endpoint:")
            proxy.on("", said(401, "Unauthorized", "Unauthorized"))

        config = proxy.kubeconfig(released.up["kubeconfig"], tmp_path / "kubeconfig")
        environment = released.environment() | {"KUBECONFIG": config}
        run = judged(tmp_path / "run", "-k", SYNC, during=disturb, **environment)
    assert run.code == 3, run.out
    assert run.verdicts["tier_a/sync_endpoint_serves"] == "error (permission)"
    assert run.out.count("because   ") == 1
    assert "refused the credentials of context" in run.out
    assert "Traceback" not in run.out
    assert f"seatrial-echo-sync-{run.run['run']}" in {one["name"] for one in run.run["left"]}
    released.sweep(tmp_path / "run", run, "--force")  # the proxy had another address
    assert released.left(run.run["run"]) == []


@pytest.mark.prove
def test_a_gateway_token_that_ends_in_mid_run(released: Sandbox, tmp_path: Path) -> None:
    """It is fetched again, once for each refusal; where the new one is refused as well, the rest is an error."""
    word = released.up["token"]
    program = f"import pathlib; p = pathlib.Path({str(tmp_path / 'count')!r}); "
    program += "n = int(p.read_text()) + 1 if p.exists() else 1; p.write_text(str(n)); print(f'gw-token-{n}')"
    refused = {"below": 0}

    def check(exchange: Exchange) -> None:
        token = exchange.spoken.header("authorization").removeprefix("Bearer ")
        if token.startswith("gw-token-") and int(token[9:]) <= refused["below"]:
            exchange.say(answer(401, '{"detail": "Token expired"}'))
        elif token:
            exchange.pass_on(replaced={"Authorization": f"Bearer {word}"})
        else:
            exchange.pass_on()

    def expire(below: int) -> Callable[[Underway], None]:
        def during(run: Underway) -> None:
            run.await_text("waiting for sync endpoint:")
            refused["below"] = below

        return during

    for below, code, verdict in ((1, 0, "pass"), (100, 3, "error (permission)")):
        refused["below"] = 0
        (tmp_path / "count").unlink(missing_ok=True)
        with KubeProxy(released.up["gateway_url"]) as proxy:
            proxy.on("", check)
            environment = released.without_cluster() | {"GATEWAY_URL": proxy.url}
            environment |= {"AUTH_TOKEN": "", "AUTH_TOKEN_COMMAND": shlex.join([sys.executable, "-c", program])}
            run = judged(
                tmp_path / f"run-{below}", "--no-cluster", "-k", f"({SYNC}) and (serves or echoes)",
                during=expire(below), **environment,
            )  # fmt: skip
        assert run.code == code, run.out
        assert set(run.verdicts.values()) == {verdict}, run.out
        assert "gw-token-" not in run.out
    assert run.out.count("ERROR (permission)") == 1
    assert "AUTH_TOKEN_COMMAND (environment)" in run.out
