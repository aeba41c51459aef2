"""LLM endpoints by the documented contract: the document's own commands of its phase 5, and what it shows."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from model_engine_sandbox import WAIT, Release, started
from recordings import Answer, request, until
from test_model_engine_documented import FOLDER, blocks, run

pytestmark = pytest.mark.prove

STEPS = ("5.1", "5.2", "5.3", "5.4", "5.5")
ENDPOINT = {
    "model_name": "llama-3.1-8b",
    "source": "hugging_face",
    "inference_framework": "vllm",
    "endpoint_type": "streaming",
    "cpus": 20,
    "gpus": 1,
    "memory": "20Gi",
    "storage": "40Gi",
    "optimize_costs": False,
    "min_workers": 1,
    "max_workers": 1,
    "per_worker": 1,
    "labels": {"team": "infra", "product": "smoke-test"},
    "metadata": {},
    "public_inference": False,
}


@pytest.fixture(scope="module")
def release() -> Iterator[Release]:
    with started("documented", "nvidia") as release:
        yield release


def ask(release: Release, method: str, path: str, body: Any = None) -> Answer:
    """A request with the sandbox's token."""
    return request(release.gateway_url + path, method, f"Bearer {release.up['token']}", body)


def test_the_document_s_own_commands(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    if FOLDER not in os.environ:
        pytest.skip(f"{FOLDER} does not name the folder with the requirement document")
    (path,) = Path(os.environ[FOLDER]).glob("R0*.md")
    monkeypatch.setenv("KUBECONFIG", release.up["kubeconfig"])
    filled = {
        "GATEWAY_URL": release.gateway_url,
        "AUTH_TOKEN": release.up["token"],
        "VLLM_TAG": release.up["vllm_image"].rpartition(":")[2],
        "GPU_TYPE": release.up["gpu_type"],
        "ENDPOINT_NAMESPACE": release.endpoints,
    }
    said = {step: run(blocks(path.read_text(), step)[0], filled) for step in STEPS}
    assert set(json.loads(said["5.1"])) == {"endpoint_creation_task_id"}
    assert said["5.2"].endswith("Status: READY\n")
    assert said["5.3"] == "Response: You said: Say hello in one sentence.\n"
    chunks = [json.loads(line.removeprefix("data: ")) for line in said["5.4"].splitlines() if line]
    assert [one["object"] for one in chunks] == ["chat.completion.chunk"] * 5
    assert "".join(one["choices"][0]["delta"]["content"] for one in chunks) == "One, two, three, four,"
    assert json.loads(said["5.5"]) == {"deleted": True}
    # The document's last command cannot find what it looks for: no worker is called so.
    look = blocks(path.read_text(), "5.5")[1].replace("grep smoke-test-llama", "{ grep -c smoke-test-llama || true; }")
    assert run(look, filled) == "0\n"


def test_an_llm_endpoint_from_create_to_delete(release: Release) -> None:
    name = f"llm-{uuid.uuid4().hex[:8]}"
    tag = release.up["vllm_image"].rpartition(":")[2]
    body = ENDPOINT | {"name": name, "gpu_type": release.up["gpu_type"], "inference_framework_image_tag": tag}
    assert ask(release, "GET", f"/v1/llm/model-endpoints/{name}").status == 404
    assert ask(release, "POST", "/v1/llm/model-endpoints", body | {"num_shards": 2}).status == 400
    assert set(ask(release, "POST", "/v1/llm/model-endpoints", body).body) == {"endpoint_creation_task_id"}
    assert ask(release, "POST", "/v1/llm/model-endpoints", body).status == 400
    seen: list[str] = []

    def ready() -> bool:
        found = ask(release, "GET", f"/v1/llm/model-endpoints/{name}").body
        seen.append(found["status"])
        return bool(found["status"] == "READY" and found["model_name"] == "llama-3.1-8b")

    until(ready, WAIT)
    assert set(seen) == {"INITIALIZING", "READY"}
    chat = {"model": name, "messages": [{"role": "user", "content": "one two"}]}
    whole = ask(release, "POST", "/v2/chat/completions", chat).body
    assert (whole["model"], whole["choices"][0]["message"]["content"]) == (name, "You said: one two")
    stream = ask(release, "POST", "/v2/chat/completions", chat | {"stream": True})
    *chunks, done = stream.body.removesuffix("\n\n").split("\n\n")
    assert done == "data: [DONE]"
    assert {json.loads(one.removeprefix("data: "))["model"] for one in chunks} == {name}
    assert ask(release, "POST", "/v2/chat/completions", chat | {"model": "nobody"}).status == 404
    assert ask(release, "DELETE", f"/v1/llm/model-endpoints/{name}").body == {"deleted": True}
    assert ask(release, "DELETE", f"/v1/llm/model-endpoints/{name}").status == 404
    until(lambda: not release.pods(release.endpoints, f"endpoint_name={name}"), WAIT)
