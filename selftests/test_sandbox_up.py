"""``python -m sandbox`` from outside: up, the product's whole way, faults, and an end without a trace."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from model_engine_sandbox import ENDPOINT

from sandbox import directory

ROOT = Path(__file__).parents[1]
KEYS = {
    *("name", "directory", "gateway_url", "token", "kubeconfig", "kube_url", "kube_token"),
    *("namespace", "endpoint_namespace", "redis_url", "database_url", "image", "vllm_image", "values"),
    *("gpu_type", "checkpoint_path"),
}
ECHO = ["dumb-init", "--", "python", "-m", "model_engine_server.inference.forwarding.echo_server", "--port", "5005"]


def sandbox(*words):
    """Run the command; its exit code, what it printed, what it complained about."""
    command = [sys.executable, "-m", "sandbox", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    return done.returncode, done.stdout, done.stderr


def up(name, *words):
    """A sandbox that ends with this process at the latest."""
    options = ("--json", "--name", name, "--parent", str(os.getpid()), "--time-scale", "0.2")
    code, out, err = sandbox("up", *words, *options)
    assert (code, err) == (0, ""), err
    return json.loads(out)


def trace(name):
    """What is left of a sandbox: its directory, and processes that have it in their environment or command line."""
    place = directory.base() / name
    left = [str(place)] if place.exists() else []
    marks = [mark.encode() for mark in (f"/{name}/", f'"{name}"', f"\0{name}\0")]
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            said = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            if any(mark in said for mark in marks) and directory.started(int(process.name)):
                left.append((process / "cmdline").read_text().replace("\0", " "))
    return left


def held(kube_url):
    """The kernel's numbers of what a sandbox holds of its address range: the sockets that listen there, and the claim.

    Numbers, for another sandbox takes a range as soon as it is free.
    """
    second = int(kube_url.split(".")[1])
    mark = f"{second:02X}7F"  # 127.S, as the kernel writes the end of an address
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    claims = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    listening = {fields[9] for fields in sockets if fields[3] == "0A" and fields[1].split(":")[0].endswith(mark)}
    claimed = {fields[6] for fields in claims if fields[-1] == f"@seatrial-127.{second}"}
    return listening, claimed


def let_go(before, kube_url):
    """Whether nothing of what `held` said before is held any more."""
    return not any(was & now for was, now in zip(before, held(kube_url), strict=True))


def eventually(holds, seconds=20.0):
    """Whether `holds()` becomes true."""
    deadline = time.monotonic() + seconds
    while not (answer := holds()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return answer


@pytest.fixture(scope="module")
def name():
    """Names of this process's own."""
    return f"selftest-{os.getpid()}"


@pytest.fixture(scope="module")
def released(name):
    started = up(name)
    yield started
    sandbox("down", name)


def gateway(started):
    """A client with the sandbox's token."""
    headers = {"Authorization": f"Bearer {started['token']}"}
    return httpx.Client(base_url=started["gateway_url"], headers=headers, timeout=20)


def flavor(started):
    repository, _, tag = started["image"].rpartition(":")
    return {
        "flavor": "streaming_enhanced_runnable_image",
        "repository": repository,
        "tag": tag,
        "command": ECHO,
        "streaming_command": ECHO,
        "env": {},
        "protocol": "http",
        "readiness_initial_delay_seconds": 1,
    }


def create_released(client, started, endpoint_name):
    """Bundle, endpoint, and the endpoint's id once the list's cache has let go."""
    bundle = {"name": endpoint_name, "schema_location": "TBA", "metadata": {}, "flavor": flavor(started)}
    answer = client.post("/v2/model-bundles", json=bundle).raise_for_status()
    body = {**ENDPOINT, "name": endpoint_name, "model_bundle_id": answer.json()["model_bundle_id"]}
    client.post("/v1/model-endpoints", json=body).raise_for_status()
    query = {"name": endpoint_name, "order_by": "newest"}
    return client.get("/v1/model-endpoints", params=query).json()["model_endpoints"][0]["id"]


def serving(client, endpoint_id):
    """Whether the worker is available."""
    answer = client.get(f"/v1/model-endpoints/{endpoint_id}").raise_for_status().json()
    return (answer["status"], (answer["deployment_state"] or {}).get("available_workers")) == ("READY", 1)


def signs(started):
    lines = Path(started["directory"], "signs.jsonl").read_text().splitlines()
    return [(line["sign"], line["object"]) for line in map(json.loads, lines)]


def test_up_prints_what_is_promised_and_nothing_is_open_to_others(released):
    assert released.keys() == KEYS
    assert Path(released["directory"]).stat().st_mode & 0o077 == 0
    assert signs(released) == []


@pytest.mark.prove
def test_released_contract_end_to_end(released):
    with gateway(released) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/v1/model-endpoints").json() == {"model_endpoints": []}
        endpoint_id = create_released(client, released, "e2e")
        assert eventually(lambda: serving(client, endpoint_id))
        query = {"model_endpoint_id": endpoint_id}
        answer = client.post("/v1/sync-tasks", params=query, json={"args": {"hello": "world"}}).json()
        assert (answer["status"], json.loads(answer["result"]["result"])) == ("SUCCESS", {"hello": "world"})
        assert client.delete(f"/v1/model-endpoints/{endpoint_id}").json() == {"deleted": True}
        assert client.get(f"/v1/model-endpoints/{endpoint_id}").status_code == 404
    assert signs(released) == []


@pytest.mark.prove
def test_documented_contract_end_to_end_beside_the_other(released, name):
    started = up(f"{name}-documented", "documented", "--ready-after", "10")  # 2 s at this time scale
    assert started["kube_url"].split(".")[1] != released["kube_url"].split(".")[1]
    database = Path(started["directory"], "postgres").resolve()
    assert database.is_dir()
    before = held(started["kube_url"])
    assert all(before)
    with gateway(started) as client:
        body = {**ENDPOINT, "name": "e2e", "model_bundle": flavor(started)}
        client.post("/v1/model-endpoints", json=body).raise_for_status()

        def listed():
            return client.get("/v1/model-endpoints", params={"name": "e2e"}).json()["model_endpoints"]

        begun = time.monotonic()
        assert eventually(lambda: [one["status"] for one in listed()] == ["READY"])
        assert time.monotonic() - begun > 1.5
        query = {"model_endpoint_id": listed()[0]["id"]}
        answer = client.post("/v1/sync-tasks", params=query, json={"args": {"hello": "world"}}).json()
        assert (answer["status"], answer["result"]) == ("SUCCESS", {"hello": "world"})
        assert client.delete(f"/v1/model-endpoints/{query['model_endpoint_id']}").json() == {"deleted": True}
        assert listed() == []
    assert sandbox("down", started["name"])[0] == 0
    assert trace(started["name"]) == []
    assert let_go(before, started["kube_url"])
    assert not database.exists()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("up", "documentd"), "unknown word 'documentd'; there is: documented"),
        (
            ("up", "ibm"),
            "unknown word 'ibm'; there is: documented released aws azure gcp onprem nvidia amd redis-broker",
        ),
        (("up", "aws", "gcp"), "a sandbox is either aws or gcp"),
        (("up", "gcp", "redis-broker"), "gcp has Redis for a broker anyway: leave redis-broker out"),
        (("up", "azure", "redis-broker"), "azure with Redis for a broker is not part of the sandbox"),
        (("up", "patched"), "patched mends what is broken with gcp, onprem, redis-broker, amd: name one of them, too"),
        (("up", "--gateways", "0"), "--gateways is from 1 to 10"),
        (("up", "documented", "released"), "a sandbox is either documented or released"),
        (("up", "--time-scale", "fast"), "argument --time-scale: invalid float value: 'fast'"),
        (("down", "no-such"), "no sandbox 'no-such' is up"),
        (("break", "create-50", "no-such"), "unknown fault 'create-50'; there is: create-500"),
        (("break", "create-500", "no-such"), "no sandbox 'no-such' is up"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_exit_code_4(words, line):
    code, out, err = sandbox(*words)
    assert (code, out) == (4, "")
    assert err.startswith(f"python -m sandbox: {line}")
    assert err.count("\n") == 1


def test_a_name_is_given_once(released):
    code, _, err = sandbox("up", "--name", released["name"])
    assert (code, err) == (4, f"python -m sandbox: a sandbox {released['name']!r} is up already\n")


def test_status_shows_what_is_up(released):
    code, out, _ = sandbox("status")
    assert code == 0
    assert f"{released['name']} (released) is up" in out
    target = f"KUBECONFIG={released['kubeconfig']} AUTH_TOKEN={released['token']}"
    assert f"  prove it    {target} .venv/bin/pytest\n" in out
    assert released["gateway_url"] in out


def test_break_without_a_fault_lists_them_with_what_they_break():
    code, out, _ = sandbox("break")
    listed = dict(line.split(None, 1) for line in out.splitlines())
    assert code == 0
    assert len(listed) >= 18
    assert listed["gateway-down"].startswith("The gateway's Deployment has no replicas")


@pytest.mark.prove
@pytest.mark.parametrize("victim", ["parent", "supervisor", "starting"])
def test_a_sandbox_whose_owner_is_killed_leaves_nothing(name, victim):
    """SIGKILL of the process it follows (later, and while it starts), and of its own."""
    doomed = f"{name}-killed"
    command = f"""
import subprocess, sys, os
words = [sys.executable, "-m", "sandbox", "up", "--json", "--name", {name!r} + "-killed", "--parent", str(os.getpid())]
subprocess.run(words, check=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", command], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        if victim == "starting":
            assert eventually(lambda: (directory.base() / doomed / "postgres").exists())
            parent.kill()
            assert eventually(lambda: trace(doomed) == [])
            return
        started = json.loads(parent.stdout.readline())
        before = held(started["kube_url"])
        assert all(before)
        database = Path(started["directory"], "postgres").resolve()
        if victim == "parent":
            parent.kill()
        else:
            [pid] = [process for process in Path("/proc").glob("[0-9]*") if supervises(process, doomed)]
            os.kill(int(pid.name), signal.SIGKILL)
            assert eventually(lambda: trace(doomed) == [started["directory"]])
            assert sandbox("status")[0] == 0  # the next command removes the directory
            parent.stdin.close()
    assert eventually(lambda: trace(doomed) == [])
    assert let_go(before, started["kube_url"])
    assert not database.exists()


def test_ctrl_c_during_up_leaves_nothing(name):
    words = [sys.executable, "-m", "sandbox", "up", "--name", f"{name}-interrupted"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as front:
        assert eventually(lambda: (directory.base() / f"{name}-interrupted" / "postgres").exists())
        front.send_signal(signal.SIGINT)
        assert front.wait(20) == 130
        assert front.stdout.read() == b"\ninterrupted (Ctrl-C): nothing of it is up\n"
    assert trace(f"{name}-interrupted") == []


def test_what_does_not_start_is_said_and_leaves_nothing(name):
    words = [sys.executable, "-m", "sandbox", "up", "--name", f"{name}-broken"]
    environment = {**os.environ, "SANDBOX_REDIS": "/bin/false"}
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=environment, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("python -m sandbox up: redis-server: ")
    assert trace(f"{name}-broken") == []


@pytest.mark.prove
def test_a_stand_in_for_redis_is_said_loudly(name):
    words = [
        sys.executable,
        "-m",
        "sandbox",
        "up",
        "--json",
        "--name",
        f"{name}-stand-in",
        "--parent",
        str(os.getpid()),
    ]
    environment = {**os.environ, "SANDBOX_REDIS": "none"}
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0
    assert done.stderr.startswith("NOTE: Redis is a stand-in")
    started = json.loads(done.stdout)
    with gateway(started) as client:
        endpoint_id = create_released(client, started, "e2e")
        assert eventually(lambda: serving(client, endpoint_id))
    assert sandbox("down", started["name"])[0] == 0


def supervises(process, name):
    """Whether a /proc entry is the supervisor of sandbox `name`."""
    with contextlib.suppress(OSError):
        words = (process / "cmdline").read_text().split("\0")
        return "sandbox.up" in words and f'"{name}"' in words[-2]
    return False
