"""Port-forward and logs: a TCP server stands for the pod, an HTTP server for the kubelet."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from kube_api_server import Running, eventually, official_client
from kube_objects import node, pod
from kube_pods import upper_case
from kubernetes import client
from kubernetes.stream import portforward
from kubernetes.stream.ws_client import PortForward

from sandbox.kube.spdy import Kind, Session

pytest_plugins = ["kube_fixtures"]

POD_ADDRESS, KUBELET_ADDRESS = "127.254.1.9", "127.254.0.10"


@pytest.fixture(scope="module")
def echo_port() -> Iterator[int]:
    """A server on the pod's address that sends back what it gets, in upper case, and then closes."""
    with upper_case(POD_ADDRESS) as port:
        yield port


class Kubelet(BaseHTTPRequestHandler):
    """Answers /containerLogs with the request it got; the container named "broken" is refused."""

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        status = 400 if address.path.endswith("/broken") else 200
        body = json.dumps({"path": address.path, "query": parse_qs(address.query)})
        if status == 400:
            body = 'container "broken" in pod "logging" is waiting to start: ContainerCreating'
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def kubelet(core: client.CoreV1Api) -> Iterator[str]:
    """A node's name, with a kubelet behind its address."""
    with ThreadingHTTPServer((KUBELET_ADDRESS, 0), Kubelet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        body = node("logging-node")
        body["status"]["addresses"] = [{"type": "InternalIP", "address": KUBELET_ADDRESS}]
        body["status"]["daemonEndpoints"] = {"kubeletEndpoint": {"Port": server.server_address[1]}}
        core.create_node(body)
        yield "logging-node"
        core.delete_node("logging-node")
        server.shutdown()
        thread.join(5)


@pytest.fixture
def running_pod(core: client.CoreV1Api, namespace: str) -> str:
    core.create_namespaced_pod(namespace, pod("one", nodeName="somewhere"))
    status = {"phase": "Running", "podIP": POD_ADDRESS}
    core.patch_namespaced_pod_status("one", namespace, {"status": status})
    return "one"


@contextmanager
def forwarding(api_server: Running, name: str, namespace: str, port: int) -> Iterator[PortForward]:
    """A port-forward by an ApiClient of its own, as the official client needs it; its thread has ended afterwards."""
    with official_client(api_server) as own:
        connect = client.CoreV1Api(own).connect_get_namespaced_pod_portforward
        forwarded = portforward(connect, name, namespace, ports=str(port))
        yield forwarded
        forwarded.close()
        for thread in threading.enumerate():
            if thread.name.startswith("Kubernetes port forward proxy"):
                thread.join(5)
        # The official client leaves the socket open when the server was first to close.
        forwarded.websocket.shutdown()


def test_port_forward(api_server: Running, running_pod: str, namespace: str, echo_port: int) -> None:
    with forwarding(api_server, running_pod, namespace, echo_port) as forwarded:
        channel = forwarded.socket(echo_port)
        channel.setblocking(True)
        channel.settimeout(5)
        channel.sendall(b"hello")
        assert channel.recv(100) == b"HELLO"
        assert channel.recv(100) == b"", "the pod closed its end"
        assert not forwarded.error(echo_port)


def test_port_forward_to_a_closed_port(api_server: Running, running_pod: str, namespace: str) -> None:
    with socket.create_server((POD_ADDRESS, 0)) as server:
        closed = server.getsockname()[1]
    with forwarding(api_server, running_pod, namespace, closed) as forwarded:

        def refused() -> None:
            assert f"dial tcp4 127.0.0.1:{closed}: connect: connection refused" in (forwarded.error(closed) or "")

        eventually(refused)


def test_port_forward_to_a_pod_without_an_address(api_server: Running, core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_pod(namespace, pod("one"))
    with forwarding(api_server, "one", namespace, 80) as forwarded:

        def refused() -> None:
            assert "connection refused" in (forwarded.error(80) or "")

        eventually(refused)


def test_spdy_pings_are_answered() -> None:
    sent: list[bytes] = []

    async def send(data: bytes) -> None:
        sent.append(data)

    async def play() -> None:
        session = Session(send)
        ping, reset = (
            b"\x80\x03\x00\x06\x00\x00\x00\x04\x00\x00\x00\x01",
            b"\x80\x03\x00\x03\x00\x00\x00\x08" + bytes(8),
        )
        for part in (ping[:5], ping[5:] + reset):
            for frame in session.receive(part):
                if frame.kind is Kind.PING:
                    await session.pong(frame.payload)

    asyncio.run(play())
    assert sent == [b"\x80\x03\x00\x06\x00\x00\x00\x04\x00\x00\x00\x01"]


def test_port_forward_without_an_upgrade(api_server: Running, running_pod: str, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods/{running_pod}/portforward?ports=80"
    assert api_server.request("GET", path).status == 400


def test_logs_come_from_the_kubelet(core: client.CoreV1Api, kubelet: str, namespace: str) -> None:
    core.create_namespaced_pod(namespace, pod("logging", nodeName=kubelet))
    asked = {"tail_lines": 3, "previous": True, "timestamps": True, "_preload_content": False}
    seen = json.loads(core.read_namespaced_pod_log("logging", namespace, **asked).data)
    assert seen == {
        "path": f"/containerLogs/{namespace}/logging/main",
        "query": {"tailLines": ["3"], "previous": ["true"], "timestamps": ["true"]},
    }


def test_what_the_kubelet_refuses_is_said(api_server: Running, kubelet: str, namespace: str) -> None:
    body = pod("logging", nodeName=kubelet)
    body["spec"]["containers"].append({"name": "broken", "image": "x"})
    api_server.request("POST", f"/api/v1/namespaces/{namespace}/pods", body)
    path = f"/api/v1/namespaces/{namespace}/pods/logging/log"
    answer = api_server.request("GET", f"{path}?container=broken")
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
    assert answer.body["message"] == 'container "broken" in pod "logging" is waiting to start: ContainerCreating'
    answer = api_server.request("GET", path)
    assert answer.body["message"] == (
        "a container name must be specified for pod logging, choose one of: [main broken]"
    )


def test_logs_without_a_kubelet(api_server: Running, core: client.CoreV1Api, namespace: str) -> None:
    with socket.create_server((KUBELET_ADDRESS, 0)) as server:
        closed = server.getsockname()[1]
    body = node("silent")
    body["status"]["addresses"] = [{"type": "InternalIP", "address": KUBELET_ADDRESS}]
    body["status"]["daemonEndpoints"] = {"kubeletEndpoint": {"Port": closed}}
    core.create_node(body)
    core.create_namespaced_pod(namespace, pod("one", nodeName="silent"))
    answer = api_server.request("GET", f"/api/v1/namespaces/{namespace}/pods/one/log")
    assert answer.status == 500
    assert f"dial tcp {KUBELET_ADDRESS}:{closed}: connect: connection refused" in answer.body["message"]
    core.delete_node("silent")


def test_a_pod_that_no_node_has_logs_nothing(api_server: Running, core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_pod(namespace, pod("nowhere", nodeSelector={"no": "where"}))
    answer = api_server.request("GET", f"/api/v1/namespaces/{namespace}/pods/nowhere/log")
    assert (answer.status, answer.body) == (200, "")
