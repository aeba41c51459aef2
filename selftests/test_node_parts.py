"""The kubelet's parts that need no API server: claims, command lines, back-off, images, logs, processes."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest

from sandbox.claim import Claim
from sandbox.node import back_off, command, environment, network, timestamps
from sandbox.node.configuration import ConfigurationError
from sandbox.node.images import Images, PullError, repository
from sandbox.node.logs import ContainerLog, Selection
from sandbox.node.process import Process, StartError
from sandbox.tasks import background

REPOSITORY = Path(__file__).parents[1]


def test_two_claims_never_share_a_range():
    first, second = Claim(), Claim()
    try:
        assert first.number != second.number
        assert first.address(1, 7) == f"127.{first.number}.1.7"
        assert second.network(200) == f"127.{second.number}.200.0/24"
    finally:
        first.close()
        second.close()


def test_back_off_is_the_kubelets():
    assert list(islice(back_off.delays(first_at_once=True), 8)) == [0, 10, 20, 40, 80, 160, 300, 300]
    assert list(islice(back_off.delays(first_at_once=False), 3)) == [10, 20, 40]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0004, "0s"), (0.35, "350ms"), (1.5, "1.5s"), (10, "10s"), (80, "1m20s"), (160, "2m40s"), (300, "5m0s")],
)
def test_durations_are_gos(seconds, text):
    assert timestamps.duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "expanded"),
    [("$(A)/x", "1/x"), ("$(B)", "$(B)"), ("$$(A)", "$(A)"), ("$A ${A} $", "$A ${A} $"), ("$(A)$(A)", "11")],
)
def test_variables_expand_as_the_api_says(text, expanded):
    assert environment.expand(text, {"A": "1"}) == expanded


ROOT = Path("/pods/1/root")
PROGRAMS = {"vendor.entrypoints.serve": "local.serve", "--app=vendor.app": "--app=local.app", "ddtrace-run": ""}


@pytest.mark.parametrize(
    ("container", "argv", "init"),
    [
        (
            {"command": ["dumb-init", "--"], "args": ["python", "-m", "vendor.entrypoints.serve"]},
            [sys.executable, "-m", "local.serve"],
            True,
        ),
        (
            {"command": ["/usr/bin/dumb-init", "--", "ddtrace-run", "python", "-m", "vendor.entrypoints.serve"]},
            [sys.executable, "-m", "local.serve"],
            True,
        ),
        (
            {"args": ["celery", "--app=vendor.app", "worker", "--queue=$(QUEUE)"]},
            [sys.executable, "-m", "celery", "--app=local.app", "worker", "--queue=q"],
            False,
        ),
        (
            {"command": ["cat", "/etc/a/b", "/etc/ab", "/etc/a"], "volumeMounts": [{"mountPath": "/etc/a"}]},
            ["cat", "/pods/1/root/etc/a/b", "/etc/ab", "/pods/1/root/etc/a"],
            False,
        ),
    ],
)
def test_command_line_of_a_container(container, argv, init):
    made = command.of_container(container, PROGRAMS, {"QUEUE": "q"}, ROOT)
    assert (made.argv, made.init) == (argv, init)


def test_a_container_without_a_command_cannot_be_made():
    with pytest.raises(ConfigurationError, match="no command specified"):
        command.of_container({}, {}, {}, ROOT)


@pytest.mark.parametrize(
    ("tokens", "located"),
    [
        (["cat", "/tmp/readyz"], ["cat", "/pods/1/root/tmp/readyz"]),
        (["bash", "-c", "test -f /tmp/readyz"], ["bash", "-c", "test -f /pods/1/root/tmp/readyz"]),
        (["/bin/sh", "-c", "cat '/a b' >/dev/null"], ["/bin/sh", "-c", "cat '/pods/1/root/a b' >/dev/null"]),
        (["python", "-c", "1/2"], [sys.executable, "-c", "1/2"]),
    ],
)
def test_command_line_of_an_exec_probe(tokens, located):
    assert command.in_container(tokens, ROOT) == located


def test_images_are_read_at_every_pull(tmp_path):
    catalogue = tmp_path / "images.json"
    catalogue.write_text(json.dumps({"registry.local/a:1": {"id": "sha256:1", "programs": {"a": "b"}}}))
    images = Images(catalogue)
    assert images.present("registry.local/a:1") is None
    pulled = images.pull("registry.local/a:1")
    assert (pulled.id, pulled.programs) == ("registry.local/a@sha256:1", {"a": "b"})
    with pytest.raises(PullError) as missing:
        images.pull("registry.local/a:2")
    assert str(missing.value) == (
        'rpc error: code = NotFound desc = failed to pull and unpack image "registry.local/a:2": failed to resolve '
        'reference "registry.local/a:2": registry.local/a:2: not found'
    )
    catalogue.write_text("{}")
    assert images.present("registry.local/a:1")
    catalogue.write_text(json.dumps({"registry.local/a:1": {"error": "denied", "code": "Unknown"}}))
    assert images.present("registry.local/a:1") is None
    with pytest.raises(PullError, match="denied"):
        images.pull("registry.local/a:1")


@pytest.mark.parametrize(
    ("reference", "name"),
    [("r.local:5000/a/b:1", "r.local:5000/a/b"), ("b", "b"), ("r.local:5000/b@sha256:1", "r.local:5000/b")],
)
def test_the_repository_of_a_reference(reference, name):
    assert repository(reference) == name


def test_logs_keep_the_time_of_each_line(tmp_path):
    async def write():
        log = ContainerLog(tmp_path / "logs" / "0.log")
        log.write(b"one\ntw")
        log.write(b"o\r\nthree")
        log.close()
        return log

    stored = asyncio.run(write()).path.read_bytes()
    assert Selection.from_query({}).of(stored) == b"one\ntwo\r\nthree\n"
    assert Selection.from_query({"tailLines": "1"}).of(stored) == b"three\n"
    assert Selection.from_query({"tailLines": "9"}).of(stored) == b"one\ntwo\r\nthree\n"
    assert Selection.from_query({"tailLines": "0"}).of(stored) == b""
    assert Selection.from_query({"limitBytes": "2"}).of(stored) == b"on"
    assert Selection.from_query({"sinceTime": "2999-01-01T00:00:00Z"}).of(stored) == b""
    assert Selection.from_query({"sinceSeconds": "60"}).of(stored) == b"one\ntwo\r\nthree\n"
    stamped = Selection.from_query({"timestamps": "true", "tailLines": "1"}).of(stored).decode()
    assert stamped.endswith("Z three\n")
    assert len(stamped) == len("2026-11-21T08:00:00.123456789Z three\n")


def test_a_port_held_on_every_address_is_named(tmp_path):
    with socket.socket() as holder:
        holder.bind(("0.0.0.0", 0))
        holder.listen()
        port = holder.getsockname()[1]
        assert network.holder("127.254.254.254", port) == f"0.0.0.0:{port}"
    assert network.holder("127.254.254.254", port) is None


def test_a_port_held_on_the_pods_own_address_is_told():
    with socket.create_server(("127.254.254.253", 0)) as holder:
        port = holder.getsockname()[1]
        assert network.holder("127.254.254.253", port) == f"another address on port {port}"


def test_a_released_address_is_used_again_last():
    pods = network.PodNetwork("127.9.1.0/30")
    first = pods.allocate()
    pods.release(first)
    assert [pods.allocate(), pods.allocate()] == ["127.9.1.2", first]


def test_a_task_that_fails_is_told_at_once(caplog):
    async def fail():
        raise KeyError("uid")

    async def run():
        task = background(fail())
        await asyncio.wait({task})
        await asyncio.sleep(0)

    asyncio.run(run())
    assert "KeyError('uid')" in caplog.text


async def started(argv, written):
    return await Process.start(argv, env=dict(os.environ), cwd=Path.cwd(), sink=written.extend)


@pytest.mark.parametrize(
    ("script", "code", "output"),
    [
        ("echo out; echo err >&2; exit 3", 3, b"out\nerr\n"),
        ("sleep 60 & exit 0", 0, b""),
        ("kill -9 $$", 137, b""),
        ("head -c 60000 /dev/zero", 0, bytes(60000)),
        ("head -c 1000000 /dev/zero", 0, bytes(1000000)),
    ],
    ids=["code and output", "children end with it", "a signal", "last words", "much output"],
)
def test_a_process_ends_as_a_container_does(script, code, output):
    async def run():
        written = bytearray()
        process = await started(["sh", "-c", script], written)
        return await process.exited, bytes(written)

    assert asyncio.run(run()) == (code, output)


@pytest.mark.parametrize(
    ("script", "init", "code"),
    [
        ("echo; sleep 60; :", False, None),
        ("trap 'exit 7' TERM; echo; while :; do sleep 0.05; done", False, 7),
        ("echo; sleep 60; :", True, 143),
    ],
    ids=["without a handler it is nothing", "with a handler", "an init hands it on"],
)
def test_sigterm_is_that_of_process_1(script, init, code):
    async def run():
        written = bytearray()
        process = await started(["sh", "-c", script], written)
        while not written:
            await asyncio.sleep(0.01)
        process.terminate(init=init)
        done, _ = await asyncio.wait({process.exited}, timeout=2 if code else 0.3)
        process.kill()
        return await process.exited if done else await process.exited and None

    assert asyncio.run(run()) == code


@pytest.mark.parametrize(
    ("program", "text"),
    [
        ("no-such-program", 'exec: "no-such-program": executable file not found in $PATH'),
        ("/no/such", 'exec: "/no/such": stat /no/such: no such file or directory'),
        ("/etc/passwd", 'exec: "/etc/passwd": permission denied'),
    ],
)
def test_a_program_that_cannot_start_is_told_in_runcs_words(program, text):
    async def run():
        with pytest.raises(StartError) as refused:
            await started([program], bytearray())
        return str(refused.value)

    assert asyncio.run(run()) == text


# A kubelet of a few lines: starts what it is told in a pod's environment and waits to be killed.
PARENT = """
import asyncio, os, sys
from pathlib import Path
from sandbox.node.process import Process

async def main():
    process = await Process.start(sys.argv[1:], env=dict(os.environ), cwd=Path.cwd(),
                                  sink=lambda data: os.write(1, data))
    await process.exited

asyncio.run(main())
"""
FORKING = """
import os, time
if os.fork():
    os.write(1, b"%d\\n" % os.getpid())
else:
    os.write(1, b"%d\\n" % os.getpid())
time.sleep(60)
"""


@pytest.mark.parametrize(
    "command_line",
    [[sys.executable, "-c", FORKING], ["sh", "-c", f"{sys.executable} -c '{FORKING}'; echo never"]],
    ids=["a program and its child", "below a shell"],
)
def test_nothing_of_a_pod_outlives_a_killed_kubelet(tmp_path, command_line):
    (tmp_path / "services.json").write_text("{}")
    pod = {
        "PYTHONPATH": f"{REPOSITORY}/sandbox/node/pod_site:{REPOSITORY}",
        "POD_IP": "127.0.0.1",
        "POD_NAME": "a",
        "POD_NAMESPACE": "b",
        "SANDBOX_SERVICES": str(tmp_path / "services.json"),
    }
    kubelet = subprocess.Popen(
        [sys.executable, "-c", PARENT, *command_line], env={**os.environ, **pod}, stdout=subprocess.PIPE, text=True
    )
    assert kubelet.stdout is not None
    with kubelet.stdout:
        pids = [int(kubelet.stdout.readline()) for _ in range(2)]
        kubelet.send_signal(signal.SIGKILL)
        kubelet.wait()
    end = time.monotonic() + 5
    while any(alive(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.02)
    assert not [pid for pid in pids if alive(pid)]


def alive(pid):
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
