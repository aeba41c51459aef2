"""What kubectl does with the API (1.31 and newer, where it is on PATH)."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kube_api_server import Running
from kube_objects import config_map, deployment, node, pod
from kube_pods import upper_case
from kubernetes import client

pytest_plugins = ["kube_fixtures"]

OLDEST = (1, 31)
POD_ADDRESS = "127.254.1.11"


def kubectl_version() -> tuple[int, int] | None:
    program = shutil.which("kubectl")
    if program is None:
        return None
    output = subprocess.run([program, "version", "--client", "-o", "json"], capture_output=True, text=True, check=True)
    version = json.loads(output.stdout)["clientVersion"]
    return int(version["major"]), int(re.sub(r"\D", "", version["minor"]))


VERSION = kubectl_version()
pytestmark = pytest.mark.skipif(
    VERSION is None or VERSION < OLDEST, reason=f"not run: kubectl >= 1.31 is not on PATH (found: {VERSION})"
)
Kubectl = Callable[..., str]


@pytest.fixture(scope="module")
def environment(api_server: Running, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    home = tmp_path_factory.mktemp("home")
    return {**os.environ, "KUBECONFIG": str(api_server.kubeconfig), "HOME": str(home)}


@pytest.fixture
def kubectl(environment: dict[str, str], namespace: str) -> Kubectl:
    """Runs kubectl in the test's namespace and returns its output; a failure shows what it said."""

    def run(*arguments: str, given: object = None, fails: bool = False) -> str:
        command = ["kubectl", "-n", namespace, *arguments]
        text = None if given is None else json.dumps(given)
        done = subprocess.run(command, env=environment, input=text, capture_output=True, text=True, timeout=30)
        assert (done.returncode != 0) == fails, done.stderr or done.stdout
        return done.stderr if fails else done.stdout

    return run


@pytest.fixture
def running_pod(core: client.CoreV1Api, namespace: str) -> str:
    core.create_namespaced_pod(namespace, pod("one", labels={"app": "web"}, nodeName="somewhere"))
    conditions = [{"type": "Ready", "status": "True"}]
    statuses = [
        {
            "name": "main",
            "image": "busybox",
            "imageID": "",
            "ready": True,
            "restartCount": 2,
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
            "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:00:00Z"}},
        }
    ]
    status = {"phase": "Running", "podIP": POD_ADDRESS, "conditions": conditions, "containerStatuses": statuses}
    core.patch_namespaced_pod_status("one", namespace, {"status": status})
    return "one"


def test_version_and_resources(kubectl: Kubectl) -> None:
    assert "Server Version: v1.36.0" in kubectl("version")
    assert "deployments" in kubectl("api-resources")


def test_get_pods(kubectl: Kubectl, running_pod: str) -> None:
    header, row = kubectl("get", "pods").splitlines()
    assert header.split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert row.split()[:4] == ["one", "1/1", "Running", "2"]
    assert re.search(
        r"one +1/1 +Running +2 \(\d+d ago\) +\d+s +127\.254\.1\.11 +somewhere", kubectl("get", "po", "-o", "wide")
    )
    assert kubectl("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].metadata.name}") == "one"
    assert running_pod in kubectl("get", "pods", "-A", "--field-selector", "status.phase=Running")


def test_get_of_other_kinds(kubectl: Kubectl, core: client.CoreV1Api, apps: client.AppsV1Api, namespace: str) -> None:
    core.create_node(node("shown", labels={"node-role.kubernetes.io/worker": ""}))
    core.create_namespaced_service(namespace, {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}})
    apps.create_namespaced_deployment(namespace, deployment("web", replicas=0))
    nodes = kubectl("get", "nodes", "-o", "wide")
    assert re.search(r"shown +Ready +worker", nodes)
    kubectl("cordon", "shown")
    assert re.search(r"shown +Ready,SchedulingDisabled +worker", kubectl("get", "nodes"))
    assert re.search(r"web +ClusterIP +127\.254\.200\.\d+ +<none> +80/TCP", kubectl("get", "svc"))
    assert re.search(r"deployment.apps/web +0/0 +0 +0", kubectl("get", "all"))
    assert re.search(r"kube-root-ca.crt +1 ", kubectl("get", "cm"))
    assert re.search(rf"{namespace} +Active", kubectl("get", "ns"))
    assert "apiVersion: v1" in kubectl("get", "configmap", "kube-root-ca.crt", "-o", "yaml")
    core.delete_node("shown")


def test_get_of_pods_in_trouble(kubectl: Kubectl, core: client.CoreV1Api, namespace: str) -> None:
    states = {
        "pulling": {"waiting": {"reason": "ImagePullBackOff"}},
        "ended": {"terminated": {"exitCode": 0, "reason": "Completed"}},
        "broken": {"terminated": {"exitCode": 3}},
    }
    for name, state in states.items():
        core.create_namespaced_pod(namespace, pod(name, nodeName="somewhere"))
        status = {"name": "main", "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": state}
        core.patch_namespaced_pod_status(name, namespace, {"status": {"containerStatuses": [status]}})
    core.create_namespaced_pod(namespace, pod("leaving", nodeName="somewhere"))
    core.delete_namespaced_pod("leaving", namespace)
    shown = dict(line.split()[0:3:2] for line in kubectl("get", "pods", "--no-headers").splitlines())
    assert shown == {
        "pulling": "ImagePullBackOff",
        "ended": "Completed",
        "broken": "ExitCode:3",
        "leaving": "Terminating",
    }


def test_get_of_endpoints_and_jobs(kubectl: Kubectl) -> None:
    addresses = [{"ip": f"127.254.1.{number}"} for number in range(1, 6)]
    subsets = [{"addresses": addresses, "ports": [{"port": 80}]}]
    kubectl(
        "create",
        "-f",
        "-",
        given={"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "one"}, "subsets": subsets},
    )
    assert "127.254.1.1:80,127.254.1.2:80,127.254.1.3:80 + 2 more..." in kubectl("get", "endpoints", "one")
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "one"}, "spec": {"template": template}}
    kubectl("create", "-f", "-", given=job)
    assert re.search(r"one +Running +0/1", kubectl("get", "jobs"))


def test_get_of_an_autoscaler(kubectl: Kubectl) -> None:
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
    }
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    body = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {"scaleTargetRef": target, "maxReplicas": 3, "metrics": [metric]},
    }
    kubectl("create", "-f", "-", given=body)
    assert re.search(r"web +Deployment/web +cpu: <unknown>/50% +1 +3 +0", kubectl("get", "hpa"))


def test_get_watches(environment: dict[str, str], core: client.CoreV1Api, namespace: str) -> None:
    command = ["kubectl", "-n", namespace, "get", "cm", "-w", "--output-watch-events"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().split() == ["EVENT", "NAME", "DATA", "AGE"]
        assert process.stdout.readline().split()[:2] == ["ADDED", "kube-root-ca.crt"]
        core.create_namespaced_config_map(namespace, config_map("one"))
        assert process.stdout.readline().split()[:3] == ["ADDED", "one", "1"]
        process.terminate()


def test_create_and_apply(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "literal", "--from-literal=a=b")
    assert kubectl("get", "cm", "literal", "-o", "jsonpath={.data.a}") == "b"
    kubectl("create", "secret", "generic", "literal", "--from-literal=a=b")
    assert kubectl("get", "secret", "literal", "-o", "jsonpath={.data.a}") == "Yg=="
    assert "created" in kubectl("apply", "-f", "-", given=config_map("applied"))
    assert "unchanged" in kubectl("apply", "-f", "-", given=config_map("applied"))
    assert "configured" in kubectl("apply", "-f", "-", given=config_map("applied", {"key": "2"}))
    assert "server dry run" in kubectl("apply", "--dry-run=server", "-f", "-", given=config_map("dry"))
    said = kubectl("create", "deployment", "one", "--image=x", fails=True)
    assert "protobuf of kind Deployment is not decoded here" in said
    wrong = {**config_map("wrong"), "bogus": 1}
    assert 'unknown field "bogus"' in kubectl("apply", "-f", "-", given=wrong, fails=True)


def test_server_side_apply_is_not_served(kubectl: Kubectl) -> None:
    said = kubectl("apply", "--server-side", "-f", "-", given=config_map("applied"), fails=True)
    assert "does not serve server-side apply" in said


def test_label_annotate_patch_and_delete(kubectl: Kubectl, core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("one"))
    kubectl("label", "cm", "one", "a=b")
    kubectl("annotate", "cm", "one", "c=d")
    kubectl("patch", "cm", "one", "-p", '{"data":{"more":"1"}}')
    found = core.read_namespaced_config_map("one", namespace)
    assert (found.metadata.labels["a"], found.metadata.annotations["c"], found.data["more"]) == ("b", "d", "1")
    kubectl("delete", "cm", "one", "--wait=true", "--timeout=5s")
    assert "not found" in kubectl("get", "cm", "one", fails=True)


def test_run_and_describe(kubectl: Kubectl, core: client.CoreV1Api) -> None:
    core.create_node(node("describing"))
    kubectl("run", "one", "--image=busybox", "--restart=Never", "--overrides", '{"metadata":{"labels":{"x":"y"}}}')
    kubectl("wait", "pod/one", "--for=condition=PodScheduled", "--timeout=5s")
    described = kubectl("describe", "pod", "one")
    assert re.search(r"Normal +Scheduled +.* +default-scheduler +Successfully assigned", described)
    assert "Successfully assigned" in kubectl("get", "events")
    core.delete_node("describing")


def test_rollouts(kubectl: Kubectl, apps: client.AppsV1Api, namespace: str) -> None:
    apps.create_namespaced_deployment(namespace, deployment("web", replicas=0))
    assert "successfully rolled out" in kubectl("rollout", "status", "deploy/web", "--timeout=5s")
    kubectl("rollout", "restart", "deploy/web")
    kubectl("wait", "deploy/web", "--for=condition=Available", "--timeout=5s")
    kubectl("set", "image", "deploy/web", "main=app:2")
    kubectl("scale", "deploy/web", "--replicas=1")
    found = apps.read_namespaced_deployment("web", namespace).spec
    assert (found.replicas, found.template.spec.containers[0].image) == (1, "app:2")
    waiting = kubectl("rollout", "status", "deploy/web", "--timeout=1s", fails=True)
    assert "timed out waiting for the condition" in waiting


def test_who_may_do_what(kubectl: Kubectl) -> None:
    assert kubectl("auth", "can-i", "get", "pods").strip() == "yes"
    assert "selfsubjectaccessreviews" in kubectl("auth", "can-i", "--list")
    assert re.search(r"Username +admin", kubectl("auth", "whoami"))


@pytest.fixture
def greeter() -> Iterator[int]:
    """A server on the pod's address that greets every connection."""
    with upper_case(POD_ADDRESS) as port:
        yield port


def test_port_forward(
    environment: dict[str, str], namespace: str, running_pod: str, greeter: int, tmp_path: Path
) -> None:
    command = ["kubectl", "-n", namespace, "port-forward", f"pod/{running_pod}", f":{greeter}", ":1"]
    with (
        (tmp_path / "errors").open("w+") as errors,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        assert process.stdout is not None
        ports = []
        while len(ports) < 2:
            found = re.search(r"127\.0\.0\.1:(\d+) -> \d+", process.stdout.readline())
            ports += [int(found[1])] if found else []
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", ports[0]), 5) as connection:
                connection.sendall(b"hello")
                connection.shutdown(socket.SHUT_WR)
                assert connection.recv(100) == b"HELLO"
                assert connection.recv(100) == b""
        with socket.create_connection(("127.0.0.1", ports[1]), 5) as connection:
            connection.sendall(b"hello")
            assert connection.recv(100) == b""
        process.terminate()
    assert "dial tcp4 127.0.0.1:1: connect: connection refused" in (tmp_path / "errors").read_text()


def test_port_forward_to_a_service(
    environment: dict[str, str], core: client.CoreV1Api, namespace: str, running_pod: str, greeter: int
) -> None:
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": greeter}]}
    core.create_namespaced_service(namespace, {"metadata": {"name": "web"}, "spec": spec})
    command = ["kubectl", "-n", namespace, "port-forward", "svc/web", ":80"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(rf"127\.0\.0\.1:(\d+) -> {greeter}", process.stdout.readline())
        assert found
        with socket.create_connection(("127.0.0.1", int(found[1])), 5) as connection:
            connection.sendall(b"hello")
            assert connection.recv(100) == b"HELLO"
        process.terminate()
