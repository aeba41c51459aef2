"""The documented contract's gateway passes the document's own commands, and behaves as the document says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import uuid
from pathlib import Path

import pytest
from model_engine_sandbox import ENDPOINT, WAIT, Object, Release
from recordings import Answer, request, until
from sandboxes import Sandbox

STEPS = ("3.1", "3.2", "4.1", "4.2", "4.3", "4.4", "4.5", "4.6")
FOLDER = "SEATRIAL_REQUIREMENTS"
FLAVOR = {
    "flavor": "streaming_enhanced_runnable_image",
    "command": ["python", "-m", "model_engine_server.inference.forwarding.echo_server", "--port", "5005"],
    "streaming_command": ["echo"],
    "protocol": "http",
    "readiness_initial_delay_seconds": 0,
}


pytestmark = pytest.mark.xdist_group("documented")


@pytest.fixture
def release(documented: Sandbox) -> Release:
    return Release(documented.up)


def ask(release: Release, method: str, path: str, body: object = None) -> Answer:
    """A request with the sandbox's token."""
    return request(release.gateway_url + path, method, f"Bearer {release.up['token']}", body)


def create(release: Release, name: str, **changes: str) -> Answer:
    """Ask for an echo endpoint."""
    repository, tag = release.up["image"].rsplit(":", 1)
    bundle = FLAVOR | {"repository": repository, "tag": tag}
    return ask(release, "POST", "/v1/model-endpoints", ENDPOINT | {"name": name, "model_bundle": bundle} | changes)


def listed(release: Release, name: str) -> list[Object]:
    """The gateway's list."""
    return list(ask(release, "GET", f"/v1/model-endpoints?name={name}").body["model_endpoints"])


def blocks(document: str, step: str) -> list[str]:
    """The code blocks of one step, in their order."""
    section = re.search(rf"^### {re.escape(step)} .*?(?=^##|\Z)", document, re.MULTILINE | re.DOTALL)
    assert section, step
    return re.findall(r"^```bash\n(.*?)^```", section[0], re.MULTILINE | re.DOTALL)


def test_the_document_s_own_commands(release: Release) -> None:
    if FOLDER not in os.environ:
        pytest.skip(f"{FOLDER} does not name the folder with the requirement document")
    (path,) = Path(os.environ[FOLDER]).glob("R0*.md")
    repository, tag = release.up["image"].rsplit(":", 1)
    filled = {
        "GATEWAY_URL": release.gateway_url,
        "AUTH_TOKEN": release.up["token"],
        "NAMESPACE": release.namespace,
        "MODEL_ENGINE_IMAGE_REPOSITORY": repository,
        "MODEL_ENGINE_IMAGE_TAG": tag,
    }
    said = {}
    for step in STEPS:
        said[step] = "".join(run(block, filled) for block in blocks(path.read_text(), step))
        if step == "4.4":  # its second item has no block of its own: "same pattern as 4.2"
            until(lambda: listed(release, "smoke-test-echo-async")[0]["status"] == "READY", WAIT)
    assert said["3.1"] == "OK\n"
    assert json.loads(said["3.2"]) == {"model_endpoints": []}
    assert set(json.loads(said["4.1"])) == {"endpoint_creation_task_id"}
    assert said["4.2"].endswith("Status: READY\n")
    answer = json.loads(said["4.3"])
    assert (answer["status"], answer["result"]) == ("SUCCESS", {"hello": "world"})
    assert set(json.loads(said["4.4"])) == {"endpoint_creation_task_id"}
    result = json.loads(said["4.5"].partition("Result: ")[2])
    assert (result["status"], result["result"], result["status_code"]) == ("SUCCESS", {"y": 1}, 200)
    gone = [f'{{"deleted":true}}Deleted smoke-test-echo-{kind}\n' for kind in ("sync", "async")]
    assert said["4.6"] == "".join(gone)


def run(block: str, filled: dict[str, str]) -> str:
    """The output of one block, its placeholders filled in and nothing else changed."""
    script = re.sub(r"\{([A-Z_]+)\}", lambda match: filled[match[1]], block)
    shell = ["bash", "-c", "sleep() { command sleep 0.2; }\n" + script]
    return subprocess.run(shell, check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout


def test_ready_means_that_a_worker_serves(release: Release) -> None:
    name = f"echo-{uuid.uuid4().hex[:8]}"
    assert set(create(release, name).body) == {"endpoint_creation_task_id"}
    again = create(release, name)
    assert (again.status, again.body) == (400, {"detail": "The specified model endpoint already exists."})
    seen = []
    until(lambda: seen.append(listed(release, name)[0]["status"]) or seen[-1] == "READY", WAIT)
    assert set(seen) == {"INITIALIZING", "READY"}
    endpoint_id = listed(release, name)[0]["id"]
    (deployment,) = release.kube(
        "GET", f"/apis/apps/v1/namespaces/{release.endpoints}/deployments", labelSelector=f"endpoint_name={name}"
    )["items"]
    assert deployment["status"]["availableReplicas"] == 1

    task = f"/v1/sync-tasks?model_endpoint_id={endpoint_id}"
    failed = ask(release, "POST", task, {"args": {"status_code": 500}})
    assert (failed.status, failed.body["status"], failed.body["result"]) == (200, "FAILURE", None)
    assert ask(release, "POST", task, {"args": {"status_code": 400}}).status == 400

    with release.redis_password():
        assert listed(release, name)[0]["status"] == "unknown"
    until(lambda: listed(release, name)[0]["status"] == "READY", WAIT)
    assert ask(release, "DELETE", f"/v1/model-endpoints/{endpoint_id}").body == {"deleted": True}
    assert listed(release, name) == []
    assert ask(release, "DELETE", f"/v1/model-endpoints/{endpoint_id}").status == 404


def test_async_tasks(release: Release) -> None:
    name = f"async-{uuid.uuid4().hex[:8]}"
    create(release, name, endpoint_type="async")
    until(lambda: listed(release, name)[0]["status"] == "READY", WAIT)
    endpoint_id = listed(release, name)[0]["id"]
    path = f"/v1/async-tasks?model_endpoint_id={endpoint_id}"
    for args, status, result, code in (
        ({"y": 1}, "SUCCESS", {"y": 1}, 200),
        ({"status_code": 500}, "SUCCESS", {"status_code": 500}, 500),
    ):
        task = ask(release, "POST", path, {"args": args, "url": None}).body["task_id"]
        wanted = {"task_id": task, "status": status, "result": result, "traceback": None, "status_code": code}
        until(lambda task=task, wanted=wanted: ask(release, "GET", f"/v1/async-tasks/{task}").body == wanted, WAIT)
    assert ask(release, "GET", f"/v1/async-tasks/{uuid.uuid4()}").body["status"] == "PENDING"
    assert ask(release, "POST", "/v1/streaming-tasks?model_endpoint_id=x", {"args": {}}).status == 404
    sync = f"echo-{uuid.uuid4().hex[:8]}"
    create(release, sync)
    other = path.replace(endpoint_id, listed(release, sync)[0]["id"])
    assert ask(release, "POST", other, {"args": {"y": 1}}).status == 400
    assert ask(release, "POST", path.replace(endpoint_id, "end_x"), {"args": {"y": 1}}).status == 404


def test_what_the_document_does_not_show_is_not_there(release: Release) -> None:
    assert request(f"{release.gateway_url}/openapi.json", "GET", None).status == 404
    assert request(f"{release.gateway_url}/v1/model-endpoints", "GET", None).status == 401
    assert ask(release, "GET", "/v1/model-endpoints/end_x").status == 405
    assert ask(release, "POST", "/v1/sync-tasks?model_endpoint_id=end_x", {"args": {"x": 1}}).status == 404
    wrong = create(release, "x" * 64)
    assert wrong.status == 422
    bad = ask(release, "POST", "/v1/model-endpoints", ENDPOINT | {"name": "no-bundle"})
    assert bad.body["detail"][0]["loc"] == ["body", "model_bundle"]


def test_names_and_labels_are_the_document_s(release: Release) -> None:
    for part in ("gateway", "builder", "cacher"):
        (pod,) = release.pods(release.namespace, f"app=model-engine-{part}")
        assert pod["status"]["phase"] == "Running"
    core, autoscaling = (
        f"/api/v1/namespaces/{release.namespace}",
        f"/apis/autoscaling/v2/namespaces/{release.namespace}",
    )
    release.kube("GET", f"{core}/services/model-engine")
    release.kube("GET", f"{autoscaling}/horizontalpodautoscalers/model-engine-gateway")
    assert "clusters:" in release.kube("GET", f"{core}/configmaps/model-engine-config")["data"]["kubeconfig"]
