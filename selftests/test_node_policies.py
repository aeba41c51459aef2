"""NetworkPolicies: whom a pod may connect to. What is not allowed hangs until the caller's time-out."""

import asyncio

import pytest
from node_cluster import NAMESPACE, PODS, cluster

from sandbox.client import ApiError

POLICIES = f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies"
# Connects to each HOST:PORT it is given, with a blocking socket and with asyncio, and prints what becomes of it.
CONNECT = """
import asyncio, socket, sys, time

def blocking(host, port):
    try:
        socket.create_connection((host, port), timeout=0.5).close()
    except TimeoutError:
        return "timed out"
    return "connected"

async def waiting(host, port):
    try:
        async with asyncio.timeout(0.5):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return "timed out"
    writer.close()
    return "connected"

for where in sys.argv[1:]:
    host, _, port = where.rpartition(":")
    print(blocking(host, int(port)), asyncio.run(waiting(host, int(port))), flush=True)
"""
TIMED_OUT, CONNECTED = "timed out timed out", "connected connected"


@pytest.fixture
def served():
    """Runs a test with a cluster, and a server on two addresses of its range (one port)."""

    async def body(test, directory):
        async with cluster(directory) as running:
            first = await asyncio.start_server(lambda reader, writer: writer.close(), running.claim.address(0, 20))
            port = first.sockets[0].getsockname()[1]
            second = await asyncio.start_server(
                lambda reader, writer: writer.close(), running.claim.address(0, 21), port
            )
            async with first, second:
                await test(running, [f"{running.claim.address(0, last)}:{port}" for last in (20, 21)])

    return lambda test, directory: asyncio.run(body(test, directory))


async def policy(running, name, **spec):
    await running.client.create(POLICIES, {"metadata": {"name": name}, "spec": {"podSelector": {}, **spec}})


async def told(running, name, *where, labels=None):
    """What a pod of these labels prints."""
    await running.run(name, "python", "-c", CONNECT, *where, restartPolicy="Never", labels=labels)
    await running.phase(name, "Succeeded")
    return (await running.logs(name)).splitlines()


def test_what_is_not_allowed_hangs(served, tmp_path):
    async def test(running, where):
        ours = {"app": "product"}
        await policy(running, "deny", policyTypes=["Egress"])
        selected = {"matchExpressions": [{"key": "app", "operator": "In", "values": ["product"]}]}
        await policy(running, "allow", podSelector=selected, policyTypes=["Egress"], egress=[{}])
        await policy(running, "incoming", policyTypes=["Ingress"])
        elsewhere = POLICIES.replace(NAMESPACE, "default")
        await running.client.create(elsewhere, {"metadata": {"name": "x"}, "spec": {"policyTypes": ["Egress"]}})
        assert await told(running, "product", *where, labels=ours) == [CONNECTED, CONNECTED]
        assert await told(running, "probe", where[0]) == [TIMED_OUT]
        await running.client.delete(f"{POLICIES}/deny")
        assert await told(running, "later", where[0]) == [CONNECTED]

    served(test, tmp_path)


def test_blocks_and_ports(served, tmp_path):
    async def test(running, where):
        (first, port), (second, _) = (each.split(":") for each in where)
        network = f"{first.rpartition('.')[0]}.0/24"
        block = {"ipBlock": {"cidr": network, "except": [f"{second}/32"]}}
        only = {"podSelector": {"matchLabels": {"app": "a"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]}}
        await policy(running, "block", egress=[{"to": [block], "ports": [{"port": int(port)}]}], **only)
        await policy(running, "names", egress=[{"ports": [{"port": 53, "protocol": "UDP"}]}], **only)
        labels = {"app": "a", "b": ""}
        assert await told(running, "one", *where, labels=labels) == [CONNECTED, TIMED_OUT]
        assert await told(running, "other", *where, labels={"app": "a"}) == [CONNECTED, CONNECTED]

    served(test, tmp_path)


def test_peers_by_selector_are_not_served(served, tmp_path):
    async def test(running, where):
        with pytest.raises(ApiError) as caught:
            await policy(running, "x", egress=[{"to": [{"podSelector": {}}]}])
        assert caught.value.status == 501
        assert not await running.client.list(PODS)

    served(test, tmp_path)
