"""The program that asks Service Bus, as a process with a pod's environment, against the sandbox's Azure."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from test_probe_programs import code, said

from sandbox.backends.azure import CLIENT_SECRET, SERVICE_BUS, TENANT, Azure
from sandbox.backends.service_bus import Queue

ROOT = Path(__file__).parents[1]
NAMESPACE = SERVICE_BUS.partition(".")[0]
LOGIN = {
    "AZURE_TENANT_ID": TENANT,
    "AZURE_CLIENT_ID": "11111111-1111-1111-1111-111111111111",
    "AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential",
}


@dataclass
class Cloud:
    """Azure on a loop in a thread, and the folder that pods find its names in."""

    loop: asyncio.AbstractEventLoop
    azure: Azure
    folder: Path

    def run(self, job: Any) -> None:
        asyncio.run_coroutine_threadsafe(job, self.loop).result(30)

    def ask(self, do: str, secret: str = CLIENT_SECRET, **more: Any) -> dict[str, Any]:
        """What the program says, in a pod whose environment has a credential."""
        pod = {"POD_IP": "127.0.0.1", "POD_NAME": "probe", "POD_NAMESPACE": "models", "POD_ROOT": ""}
        pod |= {"SANDBOX_SERVICES": str(self.folder / "services.json"), "SANDBOX_AUTHORITY": str(self.azure.authority)}
        pod |= {"PYTHONPATH": str(ROOT / "sandbox/node/pod_site"), "SERVICEBUS_NAMESPACE": NAMESPACE}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return said("servicebus_ask", {"do": do, **more}, PATH=path, **pod, **LOGIN, AZURE_CLIENT_SECRET=secret)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder, pid = tmp_path_factory.mktemp("azure"), os.getpid()
    (folder / "services.json").write_text("{}")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    azure = Azure(folder, lambda number: f"127.251.{pid % 250}.{number}", lambda token: None)
    found = Cloud(loop, azure, folder)
    found.run(azure.start())
    yield found
    found.run(azure.stop())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


def test_a_message_goes_round_and_queues_are_found(cloud: Cloud) -> None:
    found = cloud.ask("round", queue="launch-endpoint-id-x")
    assert (found["ok"], found["body"], found["done"]) == (True, "n", ["created", "sent", "received", "deleted"])
    assert found["sdk"].startswith("7.")
    cloud.azure.bus.queues["launch-endpoint-id-y"] = Queue("launch-endpoint-id-y")
    assert cloud.ask("depth", queue="launch-endpoint-id-y")["waiting"] == 0
    assert cloud.ask("list", prefix="launch-")["queues"] == ["launch-endpoint-id-y"]
    assert cloud.ask("delete", queue="launch-endpoint-id-y")["existed"] is True
    assert cloud.azure.bus.queues == {}


@pytest.mark.prove
def test_what_is_not_there_is_no_error(cloud: Cloud) -> None:
    assert cloud.ask("depth", queue="launch-endpoint-id-z")["exists"] is False
    assert cloud.ask("delete", queue="launch-endpoint-id-z")["existed"] is False


def test_who_is_not_known_is_told_so(cloud: Cloud) -> None:
    found = cloud.ask("round", secret="wrong", queue="launch-endpoint-id-x")
    assert (code(found), found["done"]) == ("auth", [])
    assert "wrong" not in json.dumps(found)


def test_what_cannot_be_reached_is_told_before_the_sdk_is_asked(cloud: Cloud) -> None:
    assert code(cloud.ask("list", namespace="nowhere")) == "dns"
    cloud.run(cloud.azure.bus.pause())
    found = cloud.ask("list")
    cloud.run(cloud.azure.bus.resume())
    assert (code(found), found["at"]) == ("refused", f"{SERVICE_BUS}:5671")


def test_a_peer_that_stays_silent_is_not_waited_for(cloud: Cloud) -> None:
    names = cloud.folder / "names.json"
    before = names.read_text()
    with socket.create_server((cloud.azure.bus.host, 0)) as silent:
        port = silent.getsockname()[1]
        changed = json.loads(before)
        changed[SERVICE_BUS]["ports"] = {"443": port, "5671": port}
        names.write_text(json.dumps(changed))
        found = cloud.ask("round", queue="q", longest=4)
        names.write_text(before)
    assert code(found) == "timeout"
    assert found["said"] == "it accepts the connection and does not answer within 4 s"
