"""The port-forward: to a ready endpoint of a Service, through the sandbox's API server."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from api_server import Api, write_config
from scripted import RESET, Scripted, Spoken, answer

from seatrial.channels import Channels
from seatrial.forward import Forward
from seatrial.http import Http
from seatrial.kube import Kube
from seatrial.record import Record, events
from seatrial.resources import ENDPOINT_SLICES, NAMESPACES, PODS, SERVICES, Asked
from seatrial.verdict import Refused, Unhealthy, Unreachable

TOKEN = "secret-token-of-somebody"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with Api(tmp_path) as api:
        yield api


@pytest.fixture
def kube(api: Api, record: Record) -> Iterator[Kube]:
    """With the namespace models and the Service models/gateway, port 80 named http."""
    with Kube.connect(api.config, "sandbox", record=record, timeout=5) as kube:
        kube.create(NAMESPACES, {"metadata": {"name": "models"}})
        ports = [{"name": "http", "port": 80, "targetPort": 5000}, {"name": "metrics", "port": 9090}]
        kube.create(SERVICES, {"metadata": {"name": "gateway"}, "spec": {"ports": ports}}, "models")
        yield kube


def add_pod(kube: Kube, name: str) -> None:
    body = {"metadata": {"name": name}, "spec": {"containers": [{"name": "main", "image": "x"}]}}
    kube.create(PODS, body, "models")
    kube.patch(PODS, name, "models", {"status": {"podIP": "127.0.0.1"}}, subresource="status")


def set_endpoints(kube: Kube, port: int, **ready: bool) -> None:
    """What the endpoints controller writes for pods and whether they are ready."""
    for old in kube.list(ENDPOINT_SLICES, "models", empty_ok=True):
        kube.delete(ENDPOINT_SLICES, old)
    endpoints = [
        {"addresses": ["127.0.0.1"], "conditions": {"ready": is_ready}, "targetRef": {"kind": "Pod", "name": pod}}
        for pod, is_ready in ready.items()
    ]
    endpoints.append({"addresses": ["10.0.0.1"]})  # somebody's own, without a pod
    piece = {
        "metadata": {"generateName": "gateway-", "labels": {"kubernetes.io/service-name": "gateway"}},
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [{"name": "metrics", "port": 1}, {"name": "http", "port": port}],
    }
    kube.create(ENDPOINT_SLICES, piece, "models")


def through(forward: Forward, record: Record) -> Http:
    """The gateway as the suite reaches it from a laptop."""
    return Http(
        forward.url,
        record=record,
        token=None,
        timeout=5,
        source="a port-forward",
        seen_from="this machine",
        explain=forward.explain,
    )


def test_requests_reach_a_ready_endpoint(kube, record, tmp_path):
    with Scripted(answer(200, '{"name": "a"}')) as pod:
        add_pod(kube, "a")
        set_endpoints(kube, pod.port, z=False, a=True)
        with Forward(kube, "gateway", "models", 80) as forward, through(forward, record) as http:
            assert [http.call("GET", "/").json() for _ in range(3)] == [{"name": "a"}] * 3
    streams = [one for one in events(tmp_path / "run") if one.get("object") == "pods/portforward models/a"]
    assert [one["status"] for one in streams] == [101, 101, 101]


def test_large_bodies_both_ways(kube, record):
    def echo(spoken: Spoken) -> Iterable[bytes]:
        yield answer(200, spoken.body.decode())

    body = {"filling": "ä" * 700_000}
    with Scripted(echo) as pod:
        add_pod(kube, "a")
        set_endpoints(kube, pod.port, a=True)
        with Forward(kube, "gateway", "models", 80) as forward, through(forward, record) as http:
            assert http.call("POST", "/", json=body).json() == body


def test_many_at_once(kube, record):
    def slow(_: Spoken) -> Iterable[bytes]:
        time.sleep(0.1)
        yield answer(200, "1")

    answers = []
    with Scripted(slow) as pod:
        add_pod(kube, "a")
        set_endpoints(kube, pod.port, a=True)
        with Forward(kube, "gateway", "models", 80) as forward, through(forward, record) as http:
            threads = [threading.Thread(target=lambda: answers.append(http.call("GET", "/").json())) for _ in range(10)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert answers == [1] * 10


def test_it_heals_when_the_pod_behind_it_goes(kube, record):
    with Scripted(answer(200, '"first"')) as first, Scripted(answer(200, '"second"')) as second:
        add_pod(kube, "a")
        set_endpoints(kube, first.port, a=True)
        with Forward(kube, "gateway", "models", 80) as forward, through(forward, record) as http:
            assert http.call("GET", "/").json() == "first"
            kube.delete(PODS, kube.get(PODS, "a", "models"))
            add_pod(kube, "b")
            set_endpoints(kube, second.port, a=True, b=True)  # on paper the first is ready for a while
            assert http.call("GET", "/").json() == "second"
            set_endpoints(kube, second.port, a=False, b=True)
            assert http.call("GET", "/").json() == "second"


def test_it_stays_with_a_pod_while_that_is_ready(kube, record, tmp_path):
    with Scripted(answer(200, "1")) as pod:
        for name in "ab":
            add_pod(kube, name)
        set_endpoints(kube, pod.port, a=False, b=True)
        with Forward(kube, "gateway", "models", 80) as forward, through(forward, record) as http:
            http.call("GET", "/")
            set_endpoints(kube, pod.port, a=True, b=True)
            http.call("GET", "/")
    streams = [one["object"] for one in events(tmp_path / "run") if one["status"] == 101]
    assert streams == ["pods/portforward models/b"] * 2


def heard(kube: Kube, record: Record, service: str = "gateway", port: int = 80) -> Unhealthy:
    forward = Forward(kube, service, "models", port)
    with forward, through(forward, record) as http, pytest.raises(Unhealthy) as caught:
        http.call("GET", "/")
    return caught.value


def test_an_empty_service_is_seen(kube, record):
    no_pod = heard(kube, record).cause
    assert (no_pod.key, no_pod.line) == ("service.empty/models/gateway", "Service models/gateway has no ready endpoint")
    assert no_pod.evidence == ("no pod is behind it at all",)
    assert no_pod.look == f"{kube.kubectl} -n models get endpointslices -l kubernetes.io/service-name=gateway"
    assert no_pod.do == "look at the pods that its selector should match"
    set_endpoints(kube, 1, b=False, a=False)
    assert heard(kube, record).cause.evidence == ("not ready: a, b",)


def test_a_service_that_is_not_as_expected(kube, record):
    assert str(heard(kube, record, "nobody")) == "Service models/nobody does not exist"
    assert str(heard(kube, record, port=8080)) == "Service models/gateway has no port 8080, only 80, 9090"


def test_a_pod_that_takes_no_connection(kube, record):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    add_pod(kube, "a")
    set_endpoints(kube, port, a=True)
    cause = heard(kube, record).cause
    assert cause.line == f"pod models/a is ready and takes no connection on port {port}"
    assert "connection refused" in cause.evidence[0]
    assert cause.look == f"{kube.kubectl} -n models logs a"


def test_endpoints_whose_pods_are_gone(kube, record):
    set_endpoints(kube, 1, a=True, b=True)
    cause = heard(kube, record).cause
    assert cause.key == "service.unreachable/models/gateway"
    assert cause.line == (
        "Service models/gateway has ready endpoints, and none of them can be reached through the API server"
    )
    assert cause.evidence == (
        'pod a: get pods/portforward models/a: 404 pods "a" not found',
        'pod b: get pods/portforward models/b: 404 pods "b" not found',
    )


def forwarding(says: bytes) -> Callable[[Spoken], Iterable[bytes]]:
    """An API server with one ready pod, that answers a port-forward with `says`."""

    def answers(spoken: Spoken) -> Iterable[bytes]:
        if "/services/" in spoken.path:
            yield answer(200, json.dumps({"spec": {"ports": [{"port": 80}]}}))
        elif "/endpointslices" in spoken.path:
            endpoint = {"targetRef": {"kind": "Pod", "name": "a"}}
            yield answer(200, json.dumps({"items": [{"ports": [{"port": 5000}], "endpoints": [endpoint]}]}))
        else:
            yield says

    return answers


def status(code: int, reason: str, message: str) -> bytes:
    return answer(code, json.dumps({"kind": "Status", "code": code, "reason": reason, "message": message}))


def test_a_missing_right_is_named(tmp_path, record):
    says = status(403, "Forbidden", 'pods "a" is forbidden: User "jane" cannot get resource "pods/portforward"')
    with Scripted(forwarding(says)) as server:
        config = write_config(tmp_path / "config", server.url, {"token": TOKEN})
        with (
            Kube.connect(config, "prod", record=record) as kube,
            Forward(kube, "gateway", "models", 80) as forward,
            through(forward, record) as http,
            pytest.raises(Refused) as caught,
        ):
            http.call("GET", "/")
    rule = '{apiGroups: [""], resources: ["pods/portforward"], verbs: ["get"]}'
    assert str(caught.value) == f"context prod may not get pods/portforward models/a: the rule {rule} is missing"


NO_STREAM = {
    "the node is gone": (
        status(500, "InternalError", "error dialing backend: dial tcp 10.0.0.9:10250: i/o timeout"),
        "cannot answer now (500): error dialing backend: dial tcp 10.0.0.9:10250: i/o timeout",
    ),
    "a proxy drops the upgrade": (
        answer(200, "{}"),
        "get pods/portforward models/a: 200 it does not switch to a WebSocket",
    ),
}


@pytest.mark.parametrize(("says", "evidence"), NO_STREAM.values(), ids=NO_STREAM)
def test_a_stream_that_does_not_open(tmp_path, record, says, evidence):
    with Scripted(forwarding(says)) as server:
        config = write_config(tmp_path / "config", server.url, {"token": TOKEN})
        with Kube.connect(config, "prod", record=record) as kube:
            cause = heard(kube, record).cause
    assert cause.key == "service.unreachable/models/gateway"
    assert cause.evidence[0].startswith("pod a: ")
    assert cause.evidence[0].endswith(evidence)


def test_the_api_server_goes_away(api, kube, record):
    with Scripted(answer(200, "1")) as pod:
        add_pod(kube, "a")
        set_endpoints(kube, pod.port, a=True)
        with Forward(kube, "gateway", "models", 80) as forward, through(forward, record) as http:
            http.call("GET", "/")
            held = socket.create_connection(("127.0.0.1", int(forward.url.rpartition(":")[2])))
            held.sendall(b"GET / HTTP/1.1\r\n")
            while [one["status"] for one in events(record.path.parent)].count(101) < 2:
                time.sleep(0.01)
            api.stop()
            held.settimeout(5)
            assert held.recv(1) == b""
            held.close()
            with pytest.raises(Unreachable) as caught:
                http.call("GET", "/")
    assert str(caught.value) == f"the API server {api.url} (context sandbox) cannot be reached: connection refused"


def test_the_api_server_breaks_the_stream(tmp_path, record):
    def breaks(spoken: Spoken) -> Iterable[bytes]:
        if "portforward" not in spoken.path:
            yield from forwarding(b"")(spoken)
            return
        yield b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x82\x03\x00\x50\x00"
        yield RESET

    with Scripted(breaks) as server:
        config = write_config(tmp_path / "config", server.url, {"token": TOKEN})
        with Kube.connect(config, "prod", record=record) as kube:
            cause = heard(kube, record).cause
    assert cause.key == "gateway/closes"


def test_the_pod_closes_in_the_middle(kube, record):
    with Scripted(answer(200, "x" * 100).replace(b"x" * 100, b"x")) as pod:
        add_pod(kube, "a")
        set_endpoints(kube, pod.port, a=True)
        assert str(heard(kube, record)).startswith("the gateway at http://127.0.0.1:")


def test_closing_ends_every_connection(kube):
    with Scripted(lambda spoken: spoken.over.wait(10) and ()) as pod:
        add_pod(kube, "a")
        set_endpoints(kube, pod.port, a=True)
        before = threading.active_count()
        with Forward(kube, "gateway", "models", 80) as forward:
            address = ("127.0.0.1", int(forward.url.rpartition(":")[2]))
            held = socket.create_connection(address)
            held.sendall(b"GET / HTTP/1.1\r\n\r\n")
            while not pod.asked:
                time.sleep(0.01)
        held.settimeout(5)
        assert held.recv(1) == b""
        held.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        assert threading.active_count() <= before + 1  # the pod's own


def test_frames_in_pieces(tmp_path, record):
    long = b"\x00" + b"y" * 70_000
    frames = (
        b"\x82\x03\x00\x50\x00",  # channel 0 begins with its port
        b"\x89\x02hi",  # a ping, to be answered
        b"\x02\x03\x00ab" + b"\x80\x02cd",  # one message in two frames
        b"\x82\x7f" + len(long).to_bytes(8, "big") + long,
        b"\x82\x7e\x00\x80" + b"\x01" + b"z" * 127,
        b"\x88\x00",
    )

    def speak(spoken: Spoken) -> Iterable[bytes]:
        sent = b"".join(frames)
        yield b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n" + sent[:4]
        for start in range(4, len(sent), 30_000):
            time.sleep(0.02)
            yield sent[start : start + 30_000]
        spoken.over.wait(10)

    with Scripted(speak) as server:
        config = write_config(tmp_path / "config", server.url, {"token": TOKEN})
        with Kube.connect(config, "prod", record=record) as kube:
            response = kube.stream(
                Asked("get", PODS, "models", "a", "portforward"), {"ports": "80"}, "v4.channel.k8s.io"
            )
            messages = []
            with Channels(response, 5) as stream:
                while not stream.ended:
                    messages += stream.receive()
    assert messages == [(0, b"\x50\x00"), (0, b"abcd"), (0, b"y" * 70_000), (1, b"z" * 127)]
    assert server.asked[0].path == "/api/v1/namespaces/models/pods/a/portforward?ports=80"
    assert server.asked[0].header("sec-websocket-protocol") == "v4.channel.k8s.io"
