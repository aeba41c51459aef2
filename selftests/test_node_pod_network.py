"""The network inside a pod's Python: wildcard addresses, localhost, Service names."""

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sandbox.claim import Claim

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture
def claim():
    claim = Claim()
    yield claim
    claim.close()


@pytest.fixture
def services(claim, tmp_path):
    """One Service, ``web`` of namespace ``shop``: port 80 is really served on the port of `answering`."""
    with socket.create_server((claim.address(200, 3), 0)) as server:
        threading.Thread(target=answer, args=(server,), daemon=True).start()
        file = tmp_path / "services.json"
        port = server.getsockname()[1]
        file.write_text(json.dumps({"shop/web": {"address": claim.address(200, 3), "ports": {"80": port}}}))
        yield file
        server.shutdown(socket.SHUT_RDWR)


def answer(server):
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")


def in_pod(claim, services, program, *, namespace="shop"):
    """What `program` prints in a pod of `namespace`."""
    pod = {
        "PYTHONPATH": f"{REPOSITORY}/sandbox/node/pod_site",
        "POD_IP": claim.address(1, 7),
        "POD_NAME": "web-7d4b9c-x2x4z",
        "POD_NAMESPACE": namespace,
        "SANDBOX_SERVICES": str(services),
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **pod}, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


BIND = """
import socket
with socket.socket(socket.{family}) as s:
    s.bind(({host!r}, 0))
    print(s.getsockname()[0])
"""


@pytest.mark.parametrize(
    ("family", "host", "prefix"),
    [
        ("AF_INET", "0.0.0.0", ""),
        ("AF_INET", "", ""),
        ("AF_INET", "localhost", ""),
        ("AF_INET", "127.0.0.1", ""),
        ("AF_INET6", "::", "::ffff:"),
    ],
)
def test_a_server_listens_on_the_pods_address(claim, services, family, host, prefix):
    bound = in_pod(claim, services, BIND.format(family=family, host=host))
    assert bound == prefix + claim.address(1, 7)


SERVE = """
import asyncio, urllib.request

async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok")
    await writer.drain()
    writer.close()

async def main():
    async with await asyncio.start_server(answer, {host!r}, 0) as server:
        port = server.sockets[0].getsockname()[1]
        for peer in {peers!r}:
            get = urllib.request.build_opener(urllib.request.ProxyHandler({{}})).open
            with await asyncio.to_thread(get, f"http://{{peer}}:{{port}}/") as answered:
                print(answered.read().decode())

asyncio.run(main())
"""


@pytest.mark.parametrize("host", [None, "::", "0.0.0.0"])
def test_localhost_is_the_pod(claim, services, host):
    peers = ["localhost", "127.0.0.1", "[::1]", "web-7d4b9c-x2x4z", claim.address(1, 7)]
    assert in_pod(claim, services, SERVE.format(host=host, peers=peers)).split() == ["ok"] * len(peers)


GET = """
import asyncio, http.client
import aiohttp, httpx

def library(name):
    connection = http.client.HTTPConnection(name, 80)
    connection.request("GET", "/")
    return connection.getresponse().read().decode()

async def main(name):
    async with aiohttp.ClientSession() as session, session.get(f"http://{name}/") as answer:
        print(await answer.text())
    async with httpx.AsyncClient(trust_env=False) as client:
        print((await client.get(f"http://{name}/")).text)
    print(library(name))

asyncio.run(main("NAME"))
"""


@pytest.mark.parametrize(
    ("name", "namespace"),
    [("web", "shop"), ("web.shop", "other"), ("web.shop.svc", "other"), ("web.shop.svc.cluster.local", "other")],
)
def test_a_service_name_leads_to_its_real_port(claim, services, name, namespace):
    assert in_pod(claim, services, GET.replace("NAME", name), namespace=namespace).split() == ["hello"] * 3


NAMES = """
import socket
print(socket.gethostname(), socket.getfqdn(), socket.gethostbyname("web.shop"))
for name in ("no-such-service", "example.com", "web.shop.svc.elsewhere.org"):
    try:
        socket.create_connection((name, 80))
    except socket.gaierror as error:
        print(error)
"""


def test_nothing_outside_the_sandbox_has_a_name(claim, services):
    first, *errors = in_pod(claim, services, NAMES).splitlines()
    assert first == f"web-7d4b9c-x2x4z web-7d4b9c-x2x4z {claim.address(200, 3)}"
    assert errors == ["[Errno -2] Name or service not known"] * 3
