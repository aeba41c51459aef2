"""Chat completions, whole and streamed, by an OpenAI-compatible server that is not ours: llama.cpp's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from counting_model import CONTENT
from dummies import ROOT, clean_environment
from sandboxes import judged, sandbox

from sandbox import handle
from sandbox.faults.acts import images
from seatrial.http import Http
from seatrial.model_engine.client import ModelEngine
from seatrial.model_engine.completion import Asked, completion, counts, flow
from seatrial.record import Record
from seatrial.run import Run
from seatrial.settings import Settings

NAME = "seatrial-llm-llama-cpp"
ASKED = Asked(NAME, frozenset({NAME}))

pytest.importorskip("xllamacpp")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where the server takes what a gateway does, as itself."""
    command = [sys.executable, str(ROOT / "selftests" / "llama_server.py")]
    command += ["--served-model-name", NAME, "--prefix", "/v2"]
    with subprocess.Popen(
        command, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


@pytest.fixture(params=["documented", "released"])
def engine(address: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[ModelEngine]:
    """The gateway's client, with the payloads of each contract."""
    record = Record(Run("t5k2m9x7qd", tmp_path / "run"))
    settings = Settings.load({"set": [f"contract={request.param}"]}, {}, tmp_path)
    with (
        closing(record),
        Http(address, record=record, token=None, timeout=20, source="test", seen_from="here") as http,
    ):
        yield ModelEngine(http, settings)


def test_a_completion_is_read(engine: ModelEngine) -> None:
    found = completion(engine.chat(NAME), ASKED)
    assert (found.content, found.finish_reason, found.tokens) == (CONTENT, "stop", 6)


def test_a_stream_is_read(engine: ModelEngine) -> None:
    found = flow(engine.chat_stream(NAME), ASKED)
    assert (found.content, found.chunks, found.done) == (CONTENT, 5, True)
    assert counts(found.content)
    assert found.reads >= 2


@pytest.mark.prove
def test_the_checks_pass_with_it_for_a_worker(tmp_path: Path) -> None:
    """In vLLM's place in the worker's pod, behind the stand-ins of forwarder and gateway."""
    with sandbox("nvidia") as one:
        image = one.up["vllm_image"]

        def other_server(listed: images.Images) -> None:
            programs = listed[image]["programs"]
            del programs["vllm_server"]
            programs["-m vllm_server"] = str(ROOT / "selftests" / "llama_server.py")

        images.change(handle.load(one.up["name"]), other_server)
        run = judged(tmp_path / "run", "-m", "tier_b", timeout=300, **one.environment())
    verdicts = {check["id"]: check["verdict"] for check in run.run["checks"]}
    assert (run.code, set(verdicts.values())) == (0, {"pass"}), run.out
    assert {"tier_b/chat_completes", "tier_b/chat_streams"} <= set(verdicts)
    assert "answered with 6 tokens to a prompt of 39, finish_reason stop" in run.out
