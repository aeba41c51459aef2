"""LLM endpoints of the sandbox: the released gateway answers what the real one answered, its worker is a GPU's."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
import recordings
from dummies import ROOT
from model_engine_sandbox import SCALE, WAIT, Object, Release
from recordings import Answer, Replay, request, until
from sandboxes import Sandbox

from sandbox.backends.s3 import S3
from sandbox.model_engine import models

pytestmark = pytest.mark.xdist_group("nvidia")

NAME = "smoke-test-llama-3-1-8b"  # as recorded
STATELESS = (
    *("llm_create_bad_checkpoint_bucket", "llm_create_bad_framework", "llm_create_bad_image_tag"),
    *("llm_create_empty_checkpoint_prefix", "llm_create_local_checkpoint", "llm_create_num_shards_mismatch"),
    *("llm_create_plus_nodes", "llm_create_plus_nodes_dash_name", "llm_create_seed", "llm_create_sync_type"),
    *("llm_delete_again", "llm_get_notfound"),
    *("chat_noauth", "chat_no_messages", "chat_unknown_model", "chat_unknown_model_stream"),
)


@pytest.fixture(scope="module")
def release(nvidia: Sandbox) -> Release:
    return Release(nvidia.up)


@pytest.fixture
def replay(release: Release) -> Replay:
    """A user of its own for each test; the recorded endpoint has a name of its own, too."""
    now = {
        "0.17.1": release.up["vllm_image"].rpartition(":")[2],
        "nvidia-hopper-h100": release.up["gpu_type"],
        NAME: f"llm-{uuid.uuid4().hex[:8]}",
    }
    return Replay(release.gateway_url, f"user-{uuid.uuid4().hex[:8]}", now)


def ask(replay: Replay, method: str, path: str, body: Any = None) -> Answer:
    """A request of the replay's user."""
    return request(replay.url + path, method, f"Bearer {replay.user}", body)


def chat(replay: Replay, **changes: Any) -> Answer:
    """The recorded question, with what is different about it."""
    body = replay.translated(recordings.load("chat_sync")["request"]["json"])
    return ask(replay, "POST", "/v2/chat/completions", body | changes)


def events(text: str) -> list[Object]:
    """Of a stream: one line of data each."""
    return [json.loads(line.removeprefix("data: ")) for line in text.split("\r\n\r\n")[:-1]]


def serving(replay: Replay, name: str) -> Object:
    """The LLM endpoint once a worker serves."""

    def look() -> Object | None:
        found = ask(replay, "GET", f"/v1/llm/model-endpoints/{name}").body
        state = found.get("spec", {}).get("deployment_state") or {}
        return dict(found) if state.get("available_workers") else None

    found = until(look, WAIT)
    assert found is not None
    return found


@pytest.mark.parametrize("name", STATELESS)
def test_answers_without_state(replay: Replay, name: str) -> None:
    replay(name)


@pytest.mark.parametrize(
    ("changes", "status", "detail"),
    [
        ({"gpu_type": "nvidia-ampere-a100e"}, 400, "We have migrated A100 usage to H100. Please request for H100 ins"),
        ({"cpus": 64}, 400, "Requested cpus=65.0 too high. The maximum for gpu_type=<GpuType.NVIDIA_AMPERE_A10: 'nv"),
        ({"labels": {"team": "t"}}, 400, "Missing label 'product' in labels."),
        ({"nodes_per_worker": 2}, 501, "an LLM endpoint with nodes_per_worker > 1 is not part of the sandbox"),
        ({"quantize": "awq"}, 501, "an LLM endpoint with quantize is not part of the sandbox"),
        ({"inference_framework": "sglang"}, 501, "an LLM endpoint with sglang is not part of the sandbox"),
        (dict.fromkeys(("cpus", "gpus", "memory", "gpu_type", "storage", "nodes_per_worker")), 501, "an LLM endpoint"),
    ],
)
def test_other_creates_that_are_refused(replay: Replay, changes: Object, status: int, detail: str) -> None:
    recorded = recordings.load("llm_create_ok")["request"]
    answer = replay.ask(recorded | {"json": recorded["json"] | changes})
    assert (answer.status, detail in answer.body["detail"]) == (status, True), answer


def test_the_product_knows_no_gpus_but_nvidia_s(replay: Replay) -> None:
    recorded = recordings.load("llm_create_ok")["request"]
    answer = replay.ask(recorded | {"json": recorded["json"] | {"gpu_type": "amd-instinct-mi300x"}})
    assert answer.status == 422
    assert "mi300x" not in answer.body["detail"][0]["ctx"]["expected"]


def test_only_v2_has_completions(replay: Replay) -> None:
    for kind in ("sync", "stream"):
        answer = ask(replay, "POST", f"/v1/llm/completions-{kind}?model_endpoint_name=x", {"prompt": "x"})
        assert (answer.status, answer.body["detail"].split(" is ")[0]) == (501, f"POST /v1/llm/completions-{kind}")


@pytest.mark.prove
def test_an_llm_endpoint_from_create_to_delete(release: Release, replay: Replay) -> None:
    base = f"{replay.now[NAME]}-base"
    recorded = recordings.load("llm_create_ok")["request"]
    changes = {"name": base, "model_name": "llama-3-1-8b", "inference_framework_image_tag": "latest"}
    assert replay.ask(recorded | {"json": recorded["json"] | changes}).status == 200
    replay.now["s3://model-engine/models/llama-3-1-8b"] = release.up["checkpoint_path"]
    replay("llm_create_ok")

    name = replay.now[NAME]
    endpoint = serving(replay, name)["spec"]
    recorded_id = recordings.load("llm_get_ready")["response"]["body"]["id"]
    replay.now |= {recorded_id: endpoint["id"], recorded_id.replace("_", "-"): endpoint["id"].replace("_", "-")}
    until(lambda: ask(replay, "GET", "/v1/llm/model-endpoints").body["model_endpoints"][1:], WAIT)
    until(lambda: ask(replay, "GET", f"/v1/llm/model-endpoints/{name}").body["status"] == "READY", WAIT)
    replay("llm_get_ready")
    listed = ask(replay, "GET", f"/v1/llm/model-endpoints?name={name}&order_by=newest").body
    recordings.compare(replay.translated(recordings.load("llm_list")["response"]["body"]), listed, "llm_list")
    replay("llm_in_plain_list")
    check_deployment(release, replay, endpoint["deployment_name"])

    replay("chat_sync")
    stream = chat(replay, stream=True, messages=[{"role": "user", "content": "one two"}])
    assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
    wanted = events(replay.translated(recordings.load("chat_stream")["response"]["body"]))
    told = events(stream.body)
    recordings.compare(wanted, [*told[:4], told[-1]], "chat_stream")
    assert "".join(one["choices"][0]["delta"]["content"] for one in told) == "You said: one two"
    short = chat(replay, max_tokens=2)
    assert short.body["choices"][0]["finish_reason"] == "length"
    costs = events(chat(replay, stream=True, stream_options={"include_usage": True}).body)[-1]
    assert costs["usage"]["completion_tokens"] == 7

    # A worker that fails; a model that was never taught to chat.
    for recording in ("chat_sync_upstream500", "chat_stream_upstream500"):
        response = recordings.load(recording)["response"]
        broken = chat(replay, stream=recording.startswith("chat_stream"), messages=[{"role": "user"}])
        said = response["body"]["detail"].partition("request_id")[0]
        assert (broken.status, broken.body["detail"][: len(said)]) == (response["status"], said)
    serving(replay, base)
    untaught = chat(replay, model=base)
    assert (untaught.status, untaught.body["detail"]["error"]["code"]) == (400, 400)
    assert "you must provide a chat template" in untaught.body["detail"]["error"]["message"]
    assert chat(replay, model=base, stream=True).status == 500

    for one in (name, base):
        assert ask(replay, "DELETE", f"/v1/llm/model-endpoints/{one}").body == {"deleted": True}
    until(lambda: not release.pods(release.endpoints, f"endpoint_name in ({name},{base})"), WAIT)
    time.sleep(15 * SCALE)
    replay("llm_delete_again")


def check_deployment(release: Release, replay: Replay, name: str) -> None:
    """Against the recorded one, apart from what helm values decide and the API server adds."""
    expected = replay.translated(recordings.load("k8s_deployment_smoke-test-llama-3-1-8b"))["spec"]["template"]
    path = f"/apis/apps/v1/namespaces/{release.endpoints}/deployments/{name}"
    pod = release.kube("GET", path)["spec"]["template"]
    assert set(pod["metadata"]["labels"]) == set(expected["metadata"]["labels"])
    for field in ("nodeSelector", "tolerations", "priorityClassName", "terminationGracePeriodSeconds"):
        assert pod["spec"][field] == expected["spec"][field], field
    for container, wanted in zip(pod["spec"]["containers"], expected["spec"]["containers"], strict=True):
        assert container["command"] == wanted["command"]
        assert wanted["readinessProbe"]["httpGet"].items() <= container["readinessProbe"]["httpGet"].items()
        asked = {key: str(value) for key, value in container["resources"]["requests"].items()}
        assert asked == {key: str(value) for key, value in wanted["resources"]["requests"].items()}


def vllm(folder: Path, machine: Object | None, **memory: str) -> subprocess.CompletedProcess[str]:
    """vLLM with the weights in `folder`, on a machine or none; until it ends. `memory`: what it is told of its own."""
    environment = os.environ | memory | {"SANDBOX_TIME_SCALE": "0", "PYTHONPATH": str(ROOT)}
    if machine:
        (folder / "machine.json").write_text(json.dumps(machine))
        (folder / "driver").touch()
        environment |= {"SANDBOX_MACHINE": str(folder), "SANDBOX_DEVICES": "GPU-1"}
    command = [sys.executable, "-m", "sandbox.model_engine.vllm", "--model", str(folder), "--port", "1"]
    command += ["--served-model-name", "m", "--gpu-memory-utilization", "0.9"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, start_new_session=True)


def test_vllm_ends_without_a_gpu_and_without_room_on_it(tmp_path: Path) -> None:
    for path, content in models.files("m", size=811_706_998_784).items():
        (tmp_path / Path(path).name).write_bytes(content)
    for machine, said in (
        (None, "RuntimeError: Failed to infer device type"),
        ({"vendor": "nvidia", "memory": 23028}, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 448.00"),
        ({"vendor": "amd", "memory": 196592}, "torch.OutOfMemoryError: HIP out of memory."),
    ):
        done = vllm(tmp_path, machine)
        assert (done.returncode, said in done.stderr) == (1, True), done.stderr


def test_vllm_is_killed_beyond_its_containers_memory(tmp_path: Path) -> None:
    for path, content in models.files("m").items():
        (tmp_path / Path(path).name).write_bytes(content)
    told = {"SANDBOX_MEMORY_LIMIT": "5Gi", "SANDBOX_OOM_KILL": str(tmp_path / "oom_kill")}
    done = vllm(tmp_path, {"vendor": "nvidia", "memory": 23028}, **told)
    assert (done.returncode, (tmp_path / "oom_kill").exists()) == (-signal.SIGKILL, True), done.stderr


@pytest.mark.parametrize(
    ("tool", "path", "missing", "denied"),
    [
        (
            "s5cmd",
            "s3://model-engine/models/{}/*",
            ": no object found",
            ": AccessDenied: Access Denied status code: 403",
        ),
        (
            *("azcopy", "https://a.blob.core.windows.net/model-engine/models/{}/*"),
            *("no files matched the specified criteria", "AuthorizationPermissionMismatch"),
        ),
        (
            *("gcloud", "gs://model-engine/models/{}"),
            *("matched no objects or files", "does not have storage.objects.get access"),
        ),
    ],
)
def test_weights_are_fetched_from_every_cloud(tmp_path: Path, tool: str, path: str, missing: str, denied: str) -> None:
    async def fetch(model: str, *unreadable: str) -> tuple[int | None, str]:
        store = S3("127.0.0.1", models.stored())
        store.denied = unreadable
        await store.start()
        command = ["-m", "sandbox.model_engine.weights", "--store", store.url, tool, path.format(model), str(tmp_path)]
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        out, _ = await process.communicate()
        await store.stop()
        return process.returncode, out.decode()

    for model, unreadable, said in (("x", (), missing), (models.INSTRUCT, ("/model-engine/",), denied)):
        code, out = asyncio.run(fetch(model, *unreadable))
        assert (code, said in out) == (1, True), out
    code, out = asyncio.run(fetch(models.INSTRUCT))
    assert (code, len(re.findall(r"^cp \S+ \S+$", out, re.M))) == (0, 4), out
    assert "chat_template" in json.loads((tmp_path / "tokenizer_config.json").read_text())
