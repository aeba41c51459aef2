"""The kubelet with a real API server: what a pod's status, events and logs say in health and in trouble."""

import asyncio
import base64
import json
import os
import sys
import time
from pathlib import Path

import aiohttp
import pytest
from node_cluster import IMAGE, IMAGE_ID, NAMESPACE, PODS, cluster

from sandbox.client import ApiError

SERVER = """
import http.server, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ready = self.path == "/" or os.path.exists(os.environ["POD_ROOT"] + "/tmp/ready")
        body = b"served by " + os.environ["POD_NAME"].encode()
        self.send_response(200 if ready else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass

print("listening", flush=True)
http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Handler).serve_forever()
"""


def run(test, tmp_path, **options):
    """Run one test function with a cluster of its own."""

    async def body():
        async with cluster(tmp_path, **options) as running:
            await test(running)

    asyncio.run(body())


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    """The kubelet's own times, a twentieth."""
    monkeypatch.setenv("SANDBOX_TIME_SCALE", "0.05")


def conditions(pod):
    return {
        each["type"]: (each["status"], each.get("reason"), each.get("message")) for each in pod["status"]["conditions"]
    }


def test_a_pod_runs_becomes_ready_and_is_deleted(tmp_path):
    async def test(cluster):
        probe = {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 5, "timeoutSeconds": 5}
        ports = [{"name": "http", "containerPort": 5000}]
        await cluster.run("web", "python", "-c", SERVER, "5000", ports=ports, readinessProbe=probe)
        pod = await cluster.phase("web", "Running")
        assert conditions(pod) == {
            "PodReadyToStartContainers": ("True", None, None),
            "Initialized": ("True", None, None),
            "Ready": ("False", "ContainersNotReady", "containers with unready status: [main]"),
            "ContainersReady": ("False", "ContainersNotReady", "containers with unready status: [main]"),
            "PodScheduled": ("True", None, None),
        }
        uid, address = pod["metadata"]["uid"], pod["status"]["podIP"]
        assert address == cluster.claim.address(1, 1)
        (cluster.directory / "pods" / uid / "root" / "tmp" / "ready").touch()
        status = (await cluster.ready("web"))["status"]
        (main,) = status["containerStatuses"]
        assert (main["ready"], main["started"], main["restartCount"]) == (True, True, 0)
        assert (main["image"], main["imageID"]) == (IMAGE, IMAGE_ID)
        assert main["containerID"].startswith("containerd://")
        assert status["hostIP"] == cluster.claim.address(0, 10)
        async with aiohttp.ClientSession() as session, session.get(f"http://{address}:5000/") as answer:
            assert await answer.text() == "served by web"
        assert await cluster.logs("web") == "listening\n"

        await cluster.client.delete(f"{PODS}/web", gracePeriodSeconds=20)  # without a handler SIGTERM is ignored
        assert (await cluster.pod("web"))["metadata"]["deletionTimestamp"]
        begun = time.monotonic()
        await cluster.until(lambda: gone(cluster, "web"))
        assert 0.8 < time.monotonic() - begun < 5
        assert not (cluster.directory / "pods" / uid).exists()

        async def killing():
            told = [each[:3] for each in await cluster.events("web")]
            return told if told[-1][1] == "Killing" else None

        told = await cluster.until(killing)
        pulled = told.pop(1)
        assert pulled[:2] == ("Normal", "Pulled")
        assert pulled[2].startswith(f'Successfully pulled image "{IMAGE}" in ')
        assert [each for each in told if each[1] != "Unhealthy"] == [
            ("Normal", "Pulling", f'Pulling image "{IMAGE}"'),
            ("Normal", "Created", "Container created"),
            ("Normal", "Started", "Container started"),
            ("Normal", "Killing", "Stopping container main"),
        ]

    run(test, tmp_path)


async def gone(cluster, name):
    try:
        await cluster.pod(name)
    except ApiError as error:
        return error.status == 404
    return False


@pytest.mark.parametrize(
    ("command", "seconds"),
    [
        (["dumb-init", "--", "python", "-c", SERVER, "5000"], 2),
        (["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"], 2),
    ],
    ids=["behind an init", "with a handler"],
)
def test_sigterm_ends_what_listens_to_it(tmp_path, command, seconds):
    async def test(cluster):
        await cluster.run("web", *command, terminationGracePeriodSeconds=600)
        await cluster.ready("web")
        await asyncio.sleep(0.3)
        begun = time.monotonic()
        await cluster.client.delete(f"{PODS}/web")
        await cluster.until(lambda: gone(cluster, "web"))
        assert time.monotonic() - begun < seconds

    run(test, tmp_path)


def test_a_forced_deletion_does_not_wait(tmp_path):
    async def test(cluster):
        await cluster.run("web", "sh", "-c", "trap '' TERM; echo $$$$; sleep 600; :", terminationGracePeriodSeconds=600)
        await cluster.ready("web")
        pid = int(await cluster.until(lambda: cluster.logs("web")))
        await cluster.client.delete(f"{PODS}/web")
        await asyncio.sleep(0.2)
        assert Path(f"/proc/{pid}").exists()
        await cluster.client.delete(f"{PODS}/web", gracePeriodSeconds=0)
        await cluster.until(lambda: asyncio.sleep(0, not Path(f"/proc/{pid}").exists()))

    run(test, tmp_path)


def test_an_image_that_is_not_there(tmp_path):
    async def test(cluster):
        image = "registry.local/app:2"
        await cluster.run("web", "sleep", "60", image=image)
        status = await cluster.waiting("web", "ErrImagePull")
        text = (
            f'rpc error: code = NotFound desc = failed to pull and unpack image "{image}": failed to resolve reference '
            f'"{image}": {image}: not found'
        )
        assert status["state"]["waiting"]["message"] == text
        assert status["imageID"] == ""
        status = await cluster.waiting("web", "ImagePullBackOff")
        assert status["state"]["waiting"]["message"] == f'Back-off pulling image "{image}": ErrImagePull: {text}'
        assert (await cluster.pod("web"))["status"]["phase"] == "Pending"
        with pytest.raises(ApiError, match="is waiting to start: trying and failing to pull image"):
            await cluster.logs("web")

        async def twice():
            told = {each[1:3]: each[3] for each in await cluster.events("web")}
            return told if told.get(("BackOff", f'Back-off pulling image "{image}"')) == 2 else None

        told = await cluster.until(twice)
        assert told["Pulling", f'Pulling image "{image}"'] == 2
        assert told["Failed", f'Failed to pull image "{image}": {text}'] == 2
        assert told["Failed", "Error: ErrImagePull"] == 2

        catalogue = cluster.directory / "images.json"
        catalogue.write_text(json.dumps({image: {"id": "sha256:2"}}))
        await cluster.until(lambda: restarted(cluster, "web", 0), seconds=5)

    run(test, tmp_path)


async def restarted(cluster, name, count):
    status = await cluster.main(name)
    return status if status["restartCount"] >= count and "waiting" not in status["state"] else None


def test_a_crash_loop_backs_off_as_the_kubelet_does(tmp_path):
    async def test(cluster):
        times = []
        await cluster.run("web", "sh", "-c", "echo run $(date +%s.%N); exit 3")
        status = await cluster.waiting("web", "CrashLoopBackOff")
        uid = (await cluster.pod("web"))["metadata"]["uid"]
        name = f"web_{NAMESPACE}({uid})"
        assert status["state"]["waiting"]["message"] == f"back-off 10s restarting failed container=main pod={name}"
        assert status["restartCount"] == 1
        assert not status["ready"]
        ended = status["lastState"]["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (3, "Error")
        assert (await cluster.pod("web"))["status"]["phase"] == "Running"
        times = [float((await cluster.logs("web", previous=which)).split()[1]) for which in ("true", "false")]
        assert times[1] - times[0] < 0.4

        async def third():
            status = await cluster.main("web")
            return status if status["restartCount"] == 2 and "waiting" in status["state"] else None

        status = await cluster.until(third)
        assert status["state"]["waiting"]["message"].startswith("back-off 20s restarting")
        assert float((await cluster.logs("web")).split()[1]) - times[1] >= 0.5  # 10 s at a twentieth

        async def told():
            events = {each[:3]: each[3] for each in await cluster.events("web")}
            return events.get(("Warning", "BackOff", f"Back-off restarting failed container main in pod {name}")) == 2

        await cluster.until(told)

    run(test, tmp_path)


def test_a_program_that_does_not_exist(tmp_path):
    async def test(cluster):
        await cluster.run("web", "no-such-program")
        status = await cluster.waiting("web", "CrashLoopBackOff")
        ended = status["lastState"]["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
        assert 'exec: "no-such-program": executable file not found in $PATH' in ended["message"]

    run(test, tmp_path)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (
            {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "db", "key": "url"}}}]},
            'secret "db" not found',
        ),
        ({"envFrom": [{"configMapRef": {"name": "settings"}}]}, 'configmap "settings" not found'),
        (
            {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.phase"}}}]},
            "unsupported fieldPath: status.phase",
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}]},
            "invalid valueFrom: resourceFieldRef",
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "kube-root-ca.crt", "key": "url"}}}]},
            "couldn't find key url in ConfigMap shop/kube-root-ca.crt",
        ),
    ],
)
def test_missing_configuration_is_told(tmp_path, reference, message):
    async def test(cluster):
        await cluster.run("web", "true", **reference)
        status = await cluster.waiting("web", "CreateContainerConfigError")
        assert status["state"]["waiting"]["message"] == message

        async def told():
            return ("Warning", "Failed", f"Error: {message}") in [each[:3] for each in await cluster.events("web")]

        await cluster.until(told)

    run(test, tmp_path)


def test_a_container_starts_once_its_secret_exists(tmp_path):
    async def test(cluster):
        await cluster.run("web", "sh", "-c", "echo $A", envFrom=[{"secretRef": {"name": "db"}}], restartPolicy="Never")
        await cluster.waiting("web", "CreateContainerConfigError")
        await cluster.create("secrets", "db", data={"A": base64.b64encode(b"late").decode()})
        pod = await cluster.phase("web", "Succeeded")
        assert conditions(pod)["Ready"] == ("False", "PodCompleted", None)
        assert await cluster.logs("web") == "late\n"

    run(test, tmp_path)


SHOW = """
import json, os
from pathlib import Path

root = Path(os.environ["POD_ROOT"])
names = [name for mount in ("etc/app", "etc/db", "root/.aws", "data") for name in sorted((root / mount).rglob("*"))]
account = root / "var/run/secrets/kubernetes.io/serviceaccount"
print(json.dumps({
    "files": {str(name.relative_to(root)): name.read_text() for name in names if name.is_file()},
    "account": {name.name: name.read_text() for name in account.iterdir()} if account.exists() else None,
    "env": dict(os.environ),
    "cwd": os.getcwd(),
}))
"""


def test_environment_and_volumes(tmp_path):
    async def test(cluster):
        await cluster.create("configmaps", "settings", data={"a.yaml": "x: 1", "LEVEL": "info"})
        await cluster.create("secrets", "db", data={"url": base64.b64encode(b"postgresql://db").decode()})
        variables = [
            {"name": "URL", "valueFrom": {"secretKeyRef": {"name": "db", "key": "url"}}},
            {"name": "FULL", "value": "$(URL)/app $(NO)"},
            {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            {"name": "MAYBE", "valueFrom": {"secretKeyRef": {"name": "none", "key": "url", "optional": True}}},
            {"name": "PYTHONPATH", "value": "/own"},
        ]
        mounts = [
            {"name": "settings", "mountPath": "/etc/app"},
            {"name": "settings", "mountPath": "/root/.aws/config", "subPath": "a.yaml"},
            {"name": "db", "mountPath": "/etc/db"},
            {"name": "data", "mountPath": "/data"},
        ]
        volumes = [
            {"name": "settings", "configMap": {"name": "settings"}},
            {"name": "db", "secret": {"secretName": "db", "items": [{"key": "url", "path": "deep/url"}]}},
            {"name": "data", "emptyDir": {}},
        ]
        common = {"restartPolicy": "Never", "volumes": volumes, "volumeMounts": mounts, "labels": {"app": "web"}}
        env_from = [{"configMapRef": {"name": "settings"}, "prefix": "APP_"}]
        await cluster.run("web", "python", "-c", SHOW, env=variables, envFrom=env_from, **common)
        await cluster.run("bare", "python", "-c", SHOW, automountServiceAccountToken=False, restartPolicy="Never")
        pod = await cluster.phase("web", "Succeeded")
        shown = json.loads(await cluster.logs("web"))
        assert shown["files"] == {
            "etc/app/LEVEL": "info",
            "etc/app/a.yaml": "x: 1",
            "etc/db/deep/url": "postgresql://db",
            "root/.aws/config": "x: 1",
        }
        env = shown["env"]
        assert (env["URL"], env["FULL"]) == ("postgresql://db", "postgresql://db/app $(NO)")
        assert (env["NODE"], env["IP"], env["APP"]) == ("node-1", pod["status"]["podIP"], "web")
        assert (env["APP_LEVEL"], env["SHARED"], env["HOSTNAME"]) == ("info", "by every pod", "web")
        assert env["PYTHONPATH"].endswith(":/own")
        assert env["POD_ROOT"] == shown["cwd"] == str(cluster.directory / "pods" / pod["metadata"]["uid"] / "root")
        assert "MAYBE" not in env
        assert set(shown["account"]) == {"token", "ca.crt", "namespace"}
        assert shown["account"]["namespace"] == NAMESPACE
        assert env["KUBERNETES_SERVICE_HOST"] == cluster.claim.address(0, 1)
        await cluster.phase("bare", "Succeeded")
        assert json.loads(await cluster.logs("bare"))["account"] is None

    run(test, tmp_path)


IN_CLUSTER = """
import asyncio
from sandbox.client import Client

async def main():
    async with Client.in_cluster() as client:
        review = await client.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
        print(review["status"]["userInfo"]["username"])

asyncio.run(main())
"""


def test_a_pod_speaks_to_the_api_with_its_service_account(tmp_path):
    async def test(cluster):
        await cluster.run("web", "python", "-c", IN_CLUSTER, restartPolicy="Never")
        await cluster.phase("web", "Succeeded")
        assert await cluster.logs("web") == "system:serviceaccount:shop:default\n"

    run(test, tmp_path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMap": {"name": "settings"}}, 'configmap "settings" not found'),
        (
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "a", "path": "a"}]}},
            "configmap references non-existent config key: a",
        ),
        ({"hostPath": {"path": "/"}}, "no volume plugin matched: hostPath"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_volume_that_cannot_be_mounted_is_told(tmp_path, source, message):
    async def test(cluster):
        volumes = [{"name": "a", **source}]
        await cluster.run("web", "true", volumes=volumes, automountServiceAccountToken=False)
        message_ = f'MountVolume.SetUp failed for volume "a" : {message}'

        async def told():
            return ("Warning", "FailedMount", message_) in [each[:3] for each in await cluster.events("web")]

        await cluster.until(told)

    run(test, tmp_path)


def test_a_volume_is_mounted_once_it_can_be(tmp_path):
    async def test(cluster):
        volumes = [{"name": "settings", "configMap": {"name": "settings"}}]
        mounts = [{"name": "settings", "mountPath": "/etc/app"}]
        await cluster.run("web", "cat", "/etc/app/a", volumes=volumes, volumeMounts=mounts, restartPolicy="Never")
        assert (await cluster.main("web"))["state"] == {"waiting": {"reason": "ContainerCreating"}}
        await cluster.create("configmaps", "settings", data={"a": "mounted"})
        await cluster.phase("web", "Succeeded")
        assert await cluster.logs("web") == "mounted\n"

    run(test, tmp_path)


@pytest.mark.parametrize("what", ["main", "init"])
def test_a_pod_that_is_never_restarted_fails(tmp_path, what):
    async def test(cluster):
        fields = {"restartPolicy": "Never"}
        if what == "init":
            fields["initContainers"] = [{"name": "prepare", "image": IMAGE, "command": ["false"]}]
        await cluster.run("web", "sh", "-c", "exit 3", **fields)
        status = (await cluster.phase("web", "Failed"))["status"]
        if what == "main":
            ended = status["containerStatuses"][0]["state"]["terminated"]
            assert (ended["exitCode"], ended["reason"]) == (3, "Error")
        else:
            assert status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 1

    run(test, tmp_path)


def test_a_container_that_is_killed_for_its_memory(tmp_path):
    async def test(cluster):
        killed = 'echo $SANDBOX_MEMORY_LIMIT; touch "$SANDBOX_OOM_KILL"; kill -9 0'
        await cluster.run("web", "sh", "-c", killed, restartPolicy="Never", resources={"limits": {"memory": "2Gi"}})
        await cluster.phase("web", "Failed")
        ended = (await cluster.main("web"))["state"]["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")
        assert await cluster.logs("web") == "2Gi\n"

    run(test, tmp_path)


def test_init_containers_come_first_and_are_tried_until_they_succeed(tmp_path):
    async def test(cluster):
        script = 'cd "$POD_ROOT/tmp"; echo x >> tries; test $(wc -l < tries) -ge 3'
        init = [{"name": "prepare", "image": IMAGE, "command": ["sh", "-c", script]}]
        await cluster.run(
            "web", "sh", "-c", "wc -l < $POD_ROOT/tmp/tries", initContainers=init, restartPolicy="OnFailure"
        )
        pod = await cluster.phase("web", "Succeeded")
        assert (await cluster.logs("web")).strip() == "3"
        (prepared,) = pod["status"]["initContainerStatuses"]
        assert (prepared["restartCount"], prepared["state"]["terminated"]["exitCode"]) == (2, 0)

    run(test, tmp_path)


def test_a_waiting_init_container_holds_the_others(tmp_path):
    async def test(cluster):
        init = [{"name": "prepare", "image": IMAGE, "command": ["sleep", "600"]}]
        await cluster.run("web", "true", initContainers=init)

        async def preparing():
            (status,) = (await cluster.pod("web"))["status"].get("initContainerStatuses") or [{"state": {}}]
            return "running" in status["state"]

        await cluster.until(preparing)
        pod = await cluster.pod("web")
        assert pod["status"]["phase"] == "Pending"
        assert (await cluster.main("web"))["state"]["waiting"]["reason"] == "PodInitializing"
        incomplete = ("False", "ContainersNotInitialized", "containers with incomplete status: [prepare]")
        assert conditions(pod)["Initialized"] == incomplete

    run(test, tmp_path)


HUNG = """
import socket, sys, time

server = socket.create_server(("", 5001))
while True:
    connection, _ = server.accept()
    if sys.argv[1] == "hang":
        time.sleep(600)
    connection.close()
"""
PROBES = {
    "exec of nothing": (
        {"exec": {"command": ["no-such-program"]}},
        "Readiness probe failed: OCI runtime exec failed: exec failed: unable to start container process: "
        'exec: "no-such-program": executable file not found in $PATH: unknown',
    ),
    "exec timeout": (
        {"exec": {"command": ["sleep", "60"]}},
        'Readiness probe failed: command timed out: "sleep 60" timed out after 1s',
    ),
    "exec": (
        {"exec": {"command": ["sh", "-c", "test -f /tmp/ready || { echo not yet; exit 1; }"]}},
        "Readiness probe failed: not yet\n",
    ),
    "tcpSocket": (
        {"tcpSocket": {"port": 5001}},
        "Readiness probe failed: dial tcp {ip}:5001: connect: connection refused",
    ),
    "httpGet refused": (
        {"httpGet": {"path": "/", "port": 5001}},
        'Readiness probe failed: Get "http://{ip}:5001/": dial tcp {ip}:5001: connect: connection refused',
    ),
    "httpGet 503": (
        {"httpGet": {"path": "/readyz", "port": 5000}},
        "Readiness probe failed: HTTP probe failed with statuscode: 503",
    ),
}


@pytest.mark.parametrize(("action", "text"), PROBES.values(), ids=PROBES)
def test_an_unready_pod_is_told(tmp_path, action, text):
    async def test(cluster):
        await cluster.run("web", "python", "-c", SERVER, "5000", readinessProbe={**action, "periodSeconds": 10})
        address = (await cluster.phase("web", "Running"))["status"]["podIP"]
        message = ("Warning", "Unhealthy", text.format(ip=address))

        async def told():
            return message in [each[:3] for each in await cluster.events("web")]

        await cluster.until(told)
        assert (await cluster.main("web"))["state"].keys() == {"running"}
        assert not (await cluster.main("web"))["ready"]

    run(test, tmp_path)


@pytest.mark.parametrize(
    ("how", "text"),
    [("hang", "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"), ("end", "EOF")],
)
def test_an_answer_that_does_not_come_is_told(tmp_path, how, text):
    async def test(cluster):
        probe = {"httpGet": {"path": "/", "port": 5001}}
        await cluster.run("web", "python", "-c", HUNG, how, readinessProbe=probe)
        address = (await cluster.phase("web", "Running"))["status"]["podIP"]

        async def told():
            message = f'Readiness probe failed: Get "http://{address}:5001/": {text}'
            return ("Warning", "Unhealthy", message) in [each[:3] for each in await cluster.events("web")]

        await cluster.until(told)

    run(test, tmp_path)


def test_a_port_that_is_listened_on_is_ready(tmp_path):
    async def test(cluster):
        await cluster.run("web", "python", "-c", SERVER, "5001", readinessProbe={"tcpSocket": {"port": 5001}})
        await cluster.ready("web")

    run(test, tmp_path)


def test_a_pod_that_fails_its_readiness_leaves_the_ready_ones(tmp_path):
    async def test(cluster):
        probe = {"exec": {"command": ["cat", "/tmp/ready"]}, "periodSeconds": 1, "failureThreshold": 2}
        await cluster.run("web", "sh", "-c", "touch $POD_ROOT/tmp/ready; sleep 600", readinessProbe=probe)
        uid = (await cluster.ready("web"))["metadata"]["uid"]
        (cluster.directory / "pods" / uid / "root" / "tmp" / "ready").unlink()
        await cluster.until(lambda: unready(cluster, "web"))

    async def unready(cluster, name):
        return not (await cluster.main(name))["ready"]

    run(test, tmp_path)


@pytest.mark.parametrize("kind", ["liveness", "startup"])
def test_a_container_that_fails_its_probe_is_restarted(tmp_path, kind):
    async def test(cluster):
        probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 2}
        fields = {f"{kind}Probe": probe, "terminationGracePeriodSeconds": 1}
        await cluster.run("web", "sleep", "600", **fields)
        status = await cluster.until(lambda: restarted(cluster, "web", 1))
        assert status["lastState"]["terminated"]["exitCode"] == 137  # sleep has no handler for SIGTERM
        killing = f"Container main failed {kind} probe, will be restarted"

        async def told():
            return ("Normal", "Killing", killing) in [each[:3] for each in await cluster.events("web")]

        await cluster.until(told)

    run(test, tmp_path)


def test_a_started_container_is_what_readiness_waits_for(tmp_path):
    async def test(cluster):
        startup = {"exec": {"command": ["cat", "/tmp/ready"]}, "periodSeconds": 1, "failureThreshold": 100}
        await cluster.run("web", "sleep", "600", startupProbe=startup)
        uid = (await cluster.phase("web", "Running"))["metadata"]["uid"]
        assert not (await cluster.main("web"))["started"]
        (cluster.directory / "pods" / uid / "root" / "tmp" / "ready").touch()
        await cluster.ready("web")
        assert (await cluster.main("web"))["started"]

    run(test, tmp_path)


def test_pods_of_endpoints_can_be_held_from_being_ready(tmp_path):
    async def test(cluster):
        begun = time.monotonic()
        await cluster.run("slow", "sleep", "600", labels={"endpoint": "e1"})
        await cluster.run("quick", "sleep", "600")
        await cluster.ready("quick")
        await cluster.phase("slow", "Running")
        assert not (await cluster.main("slow"))["ready"]
        await cluster.ready("slow")
        assert time.monotonic() - begun >= 1

    run(test, tmp_path, ready_after=20, slow_label="endpoint")


def test_a_namespace_takes_its_pods_along(tmp_path):
    async def test(cluster):
        await cluster.run("web", "sleep", "600", terminationGracePeriodSeconds=2)
        await cluster.ready("web")
        await cluster.client.delete(f"/api/v1/namespaces/{NAMESPACE}")
        await cluster.until(lambda: gone(cluster, "web"))

    run(test, tmp_path)


def test_hours_pass(tmp_path, monkeypatch):
    """At a thousandth of the time: heartbeats, comparing with the API server's list, a back-off that is over."""
    monkeypatch.setenv("SANDBOX_TIME_SCALE", "0.001")

    async def test(cluster):
        begun = (await cluster.client.get("/api/v1/nodes/node-1"))["metadata"]["resourceVersion"]
        await cluster.run("lasting", "sleep", "600")
        await cluster.run("web", "sh", "-c", "sleep 0.7; exit 1")
        await cluster.until(lambda: restarted(cluster, "web", 3))
        assert "BackOff" not in [each[1] for each in await cluster.events("web")]
        assert (await cluster.main("lasting"))["ready"]
        node = await cluster.client.get("/api/v1/nodes/node-1")
        assert node["metadata"]["resourceVersion"] != begun
        async with aiohttp.ClientSession() as session:
            port = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
            url = f"http://{cluster.claim.address(0, 10)}:{port}/containerLogs/{NAMESPACE}/unknown/main"
            async with session.get(url) as answer:
                assert answer.status == 404

    run(test, tmp_path)


def test_a_held_port_is_told_by_name(tmp_path, caplog):
    async def test(cluster):
        holder = await asyncio.start_server(lambda *_: None, "0.0.0.0", 0)
        async with holder:
            port = holder.sockets[0].getsockname()[1]
            ports = [{"containerPort": port}]
            await cluster.run("web", "python", "-c", SERVER, str(port), ports=ports)
            status = await cluster.waiting("web", "CreateContainerError")
            text = (
                f"port {port} of this machine is held by a process outside the sandbox that listens on 0.0.0.0:{port}"
            )
            assert status["state"]["waiting"]["message"] == text

            async def told():
                return ("Warning", "Failed", f"Error: {text}") in [each[:3] for each in await cluster.events("web")]

            await cluster.until(told)
            assert text in caplog.text
        await cluster.ready("web")

    run(test, tmp_path)


def test_logs_can_be_followed_to_the_end(tmp_path):
    async def test(cluster):
        script = "for i in 1 2 3; do echo line $i; sleep 0.1; done; printf end"
        await cluster.run("web", "sh", "-c", script, restartPolicy="Never")
        await cluster.phase("web", "Running")
        assert await cluster.logs("web", follow="true") == "line 1\nline 2\nline 3\nend\n"
        assert await cluster.logs("web", tailLines="1") == "end\n"
        stamp, text = (await cluster.logs("web", tailLines="1", timestamps="true")).split()
        assert stamp[0] == "2"
        assert text == "end"
        with pytest.raises(ApiError, match='previous terminated container "main" in pod "web" not found'):
            await cluster.logs("web", previous="true")

    run(test, tmp_path)


def test_the_node_is_complete_for_the_official_client(tmp_path):
    import kubernetes

    async def test(cluster):
        authority = tmp_path / "ca.crt"
        authority.write_text(cluster.client.ca)
        configuration = kubernetes.client.Configuration(host=cluster.client.url)
        configuration.ssl_ca_cert = str(authority)
        configuration.api_key = {"authorization": "Bearer admin"}
        configuration.no_proxy = "*"

        def typed():
            with kubernetes.client.ApiClient(configuration) as api:
                return kubernetes.client.CoreV1Api(api).list_node().items

        (node,) = await asyncio.to_thread(typed)
        assert node.status.node_info.operating_system == "linux"
        assert {each.type: each.status for each in node.status.conditions} == {
            "Ready": "True",
            "MemoryPressure": "False",
            "DiskPressure": "False",
            "PIDPressure": "False",
        }
        addresses = {each.type: each.address for each in node.status.addresses}
        assert addresses == {"InternalIP": cluster.claim.address(0, 10), "Hostname": "node-1"}
        assert node.metadata.labels["kubernetes.io/hostname"] == "node-1"
        assert node.status.allocatable["cpu"] == "64"

    run(test, tmp_path)


def test_stopping_the_kubelet_leaves_no_process(tmp_path):
    pids = []

    async def test(cluster):
        script = f"trap '' TERM; echo $$$$; {sys.executable} -c 'import time; time.sleep(600)' & echo $!; wait"
        await cluster.run("web", "sh", "-c", script)
        await cluster.run("probed", "sleep", "600", readinessProbe={"exec": {"command": ["sleep", "600"]}})
        await cluster.ready("web")
        pids.extend(map(int, (await cluster.until(lambda: two_lines(cluster))).split()))

    async def two_lines(cluster):
        text = await cluster.logs("web")
        return text if text.count("\n") == 2 else None

    run(test, tmp_path)
    assert len(pids) == 2
    assert not Path(f"/proc/{pids[0]}").exists()
    end = time.monotonic() + 2
    while alive(pids[1]) and time.monotonic() < end:
        time.sleep(0.01)
    assert not alive(pids[1])
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert not [pid for pid in children if b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def alive(pid):
    """Whether a process runs: the child of a killed one is the machine's, which reaps it in its own time."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_a_pod_is_active_no_longer_than_it_may(tmp_path):
    async def test(cluster):
        patient = "import signal, time; signal.signal(signal.SIGTERM, lambda *_: exit(3)); print('up'); time.sleep(60)"
        for name, command in (("web", ("python", "-c", patient)), ("deaf", ("sleep", "60"))):
            await cluster.run(name, *command, activeDeadlineSeconds=80, terminationGracePeriodSeconds=20)
        for name, code in (("web", 3), ("deaf", 137)):
            pod = await cluster.phase(name, "Failed")
            assert pod["status"]["reason"] == "DeadlineExceeded"
            assert pod["status"]["message"] == "Pod was active on the node longer than the specified deadline"
            assert (await cluster.main(name))["state"]["terminated"]["exitCode"] == code
        await cluster.client.delete(f"{PODS}/web")
        reasons = [reason for _, reason, _, _ in await cluster.events("web")]
        assert reasons[-2:] == ["DeadlineExceeded", "Killing"]

    run(test, tmp_path)


def test_a_deadline_means_nothing_to_a_pod_that_has_ended(tmp_path):
    async def test(cluster):
        await cluster.run("web", "python", "-c", "pass", restartPolicy="Never", activeDeadlineSeconds=3600)
        await cluster.phase("web", "Succeeded")
        for pod in cluster.kubelet._pods.values():
            pod._expire()
        await cluster.client.delete(f"{PODS}/web")
        assert "DeadlineExceeded" not in {reason for _, reason, _, _ in await cluster.events("web")}

    run(test, tmp_path)


def test_an_evicted_pod_stays_as_it_was_left(tmp_path):
    async def test(cluster):
        evicted = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
        await cluster.run("web", "sleep", "60", terminationGracePeriodSeconds=2)
        await cluster.run("early", "sleep", "60")
        await cluster.client.patch(f"{PODS}/early/status", {"status": evicted})
        await cluster.ready("web")
        await cluster.client.patch(f"{PODS}/web/status", {"status": evicted})

        async def stopped():
            return not any(container.running for pod in cluster.kubelet._pods.values() for container in pod._all)

        await cluster.until(stopped)
        for name in ("web", "early"):
            status = (await cluster.pod(name))["status"]
            assert {key: status[key] for key in evicted} == evicted
            cluster.kubelet._observe("ADDED", {"metadata": {"uid": name}, "status": status})  # as after a restart
            assert name not in cluster.kubelet._pods
            await cluster.client.delete(f"{PODS}/{name}")

        async def forgotten():
            return not cluster.kubelet._pods

        await cluster.until(forgotten)

    run(test, tmp_path)
