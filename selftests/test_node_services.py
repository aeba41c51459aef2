"""The service proxy with a real API server: cluster IPs lead to ready endpoints, and nowhere without any."""

import asyncio
import contextlib
import json
import socket
import struct

import pytest
from node_cluster import IMAGE, NAMESPACE, cluster

SERVICES = f"/api/v1/namespaces/{NAMESPACE}/services"
SLICES = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"


def run(test, tmp_path):
    async def body():
        async with cluster(tmp_path) as running:
            await test(running)

    asyncio.run(body())


def endpoint_slice(name, *endpoints, ready=True):
    """A slice of the Service ``web``: each endpoint is an (address, port)."""
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": endpoints[0][1], "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": ready}} for address, _ in endpoints],
    }


async def service(cluster, port):
    """A Service without a selector, whose endpoints the test writes itself; returns its (address, real port)."""
    ports = [{"name": "http", "port": port, "protocol": "TCP", "targetPort": port}]
    await cluster.client.create(SERVICES, {"metadata": {"name": "web"}, "spec": {"ports": ports}})
    return await cluster.until(lambda: place(cluster, port))


async def place(cluster, port):
    entry = json.loads((cluster.directory / "services.json").read_text()).get(f"{NAMESPACE}/web")
    return (entry["address"], entry["ports"][str(port)]) if entry and entry["ports"] else None


async def echo(reader, writer):
    """Answers with what it was sent once the other side has ended, as a half-closed connection allows."""
    writer.write(b"echo " + await reader.read())
    await writer.drain()
    writer.close()


async def ask(address, port):
    reader, writer = await asyncio.open_connection(address, port)
    writer.write(b"hello")
    writer.write_eof()
    try:
        return (await reader.read()).decode()
    finally:
        writer.close()


async def outcome(where):
    """What asking leads to: the answer, or how it fails."""
    try:
        return await ask(*where)
    except ConnectionRefusedError:
        return "refused"
    except ConnectionResetError:
        return "reset"


async def becomes(cluster, where, wanted):
    async def look():
        return await outcome(where) == wanted

    await cluster.until(look)


@pytest.mark.parametrize("port", [80, 18080], ids=["below 1024", "its own port"])
def test_a_service_forwards_to_its_endpoints(tmp_path, port):
    async def test(cluster):
        where = await service(cluster, port)
        assert where[0].startswith(cluster.claim.address(200, 0).removesuffix("0"))
        assert (where[1] == port) == (port >= 1024)
        assert await outcome(where) == "refused"
        async with await asyncio.start_server(echo, cluster.claim.address(1, 9), 0) as server:
            endpoint = server.sockets[0].getsockname()
            made = await cluster.client.create(SLICES, endpoint_slice("web-a", endpoint))
            await becomes(cluster, where, "echo hello")
            assert await asyncio.gather(*(ask(*where) for _ in range(5))) == ["echo hello"] * 5

            await cluster.client.replace(f"{SLICES}/web-a", made | endpoint_slice("web-a", endpoint, ready=False))
            await becomes(cluster, where, "refused")
            await cluster.client.patch(f"{SLICES}/web-a", endpoint_slice("web-a", endpoint))
            await becomes(cluster, where, "echo hello")
            await cluster.client.delete(f"{SLICES}/web-a")
            await becomes(cluster, where, "refused")
        await cluster.client.delete(f"{SERVICES}/web")
        await becomes(cluster, where, "refused")
        assert f"{NAMESPACE}/web" not in json.loads((cluster.directory / "services.json").read_text())

    run(test, tmp_path)


def test_an_endpoint_that_does_not_listen_resets_the_connection(tmp_path):
    async def test(cluster):
        where = await service(cluster, 80)
        async with await asyncio.start_server(echo, cluster.claim.address(1, 9), 0) as server:
            endpoint = server.sockets[0].getsockname()
        await cluster.client.create(SLICES, endpoint_slice("web-a", endpoint))
        await becomes(cluster, where, "reset")

    run(test, tmp_path)


def test_a_connection_that_breaks_is_reset_and_an_open_one_ends_with_the_proxy(tmp_path):
    heard = asyncio.Event()

    async def breaking(reader, writer):
        await reader.read(5)
        heard.set()
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def silent(reader, writer):
        heard.set()
        await reader.read()
        writer.close()

    async def test(cluster):
        where = await service(cluster, 80)
        async with (
            await asyncio.start_server(breaking, cluster.claim.address(1, 8), 0) as first,
            await asyncio.start_server(silent, cluster.claim.address(1, 9), 0) as second,
        ):
            endpoints = [server.sockets[0].getsockname() for server in (first, second)]
            await cluster.client.create(SLICES, endpoint_slice("web-a", endpoints[0]))
            await becomes(cluster, where, "reset")
            assert heard.is_set()
            await cluster.client.delete(f"{SLICES}/web-a")
            await cluster.client.create(SLICES, endpoint_slice("web-b", endpoints[1]))
            heard.clear()
            await cluster.until(lambda: connects(where))

    async def connects(where):
        try:
            open_.append(await asyncio.open_connection(*where))
        except OSError:
            return False
        await asyncio.sleep(0.05)
        return heard.is_set()

    open_ = []

    async def body():
        async with cluster(tmp_path) as running:
            await test(running)
        for reader, writer in open_:
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()

    asyncio.run(body())


SERVER = """
import http.server

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"from a pod")

http.server.ThreadingHTTPServer(("", 5000), Handler).serve_forever()
"""
CLIENT = """
import urllib.request

get = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
print(get("http://web.shop.svc.cluster.local/").read().decode())
"""


def test_a_pod_reaches_another_by_its_services_name(tmp_path):
    async def test(cluster):
        container = {
            "name": "main",
            "image": IMAGE,
            "command": ["python", "-c", SERVER],
            "ports": [{"name": "http", "containerPort": 5000}],
            "readinessProbe": {"httpGet": {"path": "/", "port": "http"}},
        }
        template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
        spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
        await cluster.client.create(path, {"metadata": {"name": "web"}, "spec": spec})
        ports = [{"port": 80, "targetPort": "http"}]
        await cluster.client.create(
            SERVICES, {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": ports}}
        )

        async def available():
            return (await cluster.client.get(f"{path}/web")).get("status", {}).get("availableReplicas") == 2

        await cluster.until(available)
        await cluster.run("asking", "python", "-c", CLIENT, restartPolicy="Never")
        await cluster.phase("asking", "Succeeded")
        assert await cluster.logs("asking") == "from a pod\n"

    run(test, tmp_path)
