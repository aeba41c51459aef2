"""vLLM's server, ``python -m vllm_server``: it needs a GPU that holds the model, counts, and repeats what it is told.

What it finds of the GPU and of the model is where a node puts it, and where the weights were fetched to.
"""

from __future__ import annotations

import argparse
import asyncio
import http
import json
import os
import re
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from aiohttp import web

from sandbox import clock
from sandbox.model_engine.quantity import number

LOADING = 2.0  # seconds until the model is on the GPU
HOST_MEMORY = 6.0  # GiB that it takes of its container's memory, whatever the model
TOKENS_PER_SECOND = 50.0
GIB = 2**30
UNKNOWN_DEVICE = (
    "RuntimeError: Failed to infer device type, please set the environment variable `VLLM_LOGGING_LEVEL=DEBUG` to turn"
    " on verbose logging to help debug the issue."
)
OUT_OF_MEMORY = (
    "torch.OutOfMemoryError: {platform} out of memory. Tried to allocate {piece:.2f} MiB. GPU 0 has a total capacity of"
    " {total:.2f} GiB of which {free:.2f} MiB is free. Including non-PyTorch memory, this process has {used:.2f} GiB"
    " memory in use. Of the allocated memory {used:.2f} GiB is allocated by PyTorch, and 14.21 MiB is reserved by"
    " PyTorch but unallocated. If reserved but unallocated memory is large try setting"
    " PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True to avoid fragmentation."
)
ENGINE_FAILED = "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}"
NO_TEMPLATE = (
    "As of transformers v4.44, default chat template is no longer allowed, so you must provide a chat template if the"
    " tokenizer does not define one. None"
)
TAUGHT = {"Count from one to five.": "One, two, three, four, five."}
API, ENGINE = "(APIServer pid=1)", "(EngineCore_DP0 pid=74)"


def log(process: str, level: str, place: str, text: str) -> None:
    """A line as vLLM writes it."""
    moment = datetime.now().strftime("%m-%d %H:%M:%S")
    print(f"{process} {level} {moment} [{place}] {text}", file=sys.stderr)


def die(process: str, *lines: str) -> NoReturn:
    """A traceback, and the end."""
    for line in ("Traceback (most recent call last):", *lines):
        print(f"{process} {line}", file=sys.stderr)
    sys.exit(1)


def take(memory: float) -> None:
    """So many GiB of the container's memory. None is taken: this alone compares it with the limit, and ends all
    processes of the container where the kernel would kill them."""
    limit = os.environ.get("SANDBOX_MEMORY_LIMIT")
    if limit and memory * GIB > number(limit):
        Path(os.environ["SANDBOX_OOM_KILL"]).touch()
        os.killpg(0, signal.SIGKILL)


def gpu() -> dict[str, Any]:
    """The machine of the container's GPUs. Dies where there are none, or nothing that drives them."""
    machine = Path(os.environ.get("SANDBOX_MACHINE", ""))
    if not os.environ.get("SANDBOX_DEVICES") or not (machine / "driver").exists():
        log(API, "INFO", "__init__.py:247", "No platform detected, vLLM is running on UnspecifiedPlatform")
        die(API, UNKNOWN_DEVICE)
    return dict(json.loads((machine / "machine.json").read_text()))


def load(folder: Path, machine: dict[str, Any], share: float) -> None:
    """Put the model on the GPU, of whose memory it may have `share`."""
    log(ENGINE, "INFO", "gpu_model_runner.py:2602", f"Starting to load model {folder}...")
    size = json.loads((folder / "model.safetensors.index.json").read_text())["metadata"]["total_size"]
    total = machine["memory"] * 2**20
    time.sleep(clock.scaled(LOADING))
    if size > total * share:
        text = OUT_OF_MEMORY.format(
            platform="HIP" if machine["vendor"] == "amd" else "CUDA",
            piece=448.0,
            total=total / GIB,
            free=44.0,
            used=total / GIB - 44 / 1024,
        )
        log(ENGINE, "ERROR", "core.py:708", "EngineCore failed to start.")
        log(ENGINE, "ERROR", "core.py:708", text)
        die(API, ENGINE_FAILED)
    log(
        ENGINE, "INFO", "gpu_model_runner.py:2653", f"Model loading took {size / GIB:.4f} GiB and {LOADING:.6f} seconds"
    )


async def access(request: web.Request, answer: web.StreamResponse) -> None:
    """A line of uvicorn's access log."""
    host, port = (request.transport and request.transport.get_extra_info("peername")) or ("", 0)
    line = f'"{request.method} {request.path_qs} HTTP/1.1" {answer.status} {http.HTTPStatus(answer.status).phrase}'
    print(f"{API} INFO:     {host}:{port} - {line}", file=sys.stderr)


class Server:
    """One model under all of its `names`; `template` of a chat, empty for a model that has none."""

    def __init__(self, names: list[str], template: str) -> None:
        self.names, self.template = names, template

    def application(self) -> web.Application:
        app = web.Application()
        app.on_response_prepare.append(access)
        app.router.add_get("/health", self.health)
        app.router.add_get("/v1/models", self.models)
        app.router.add_post("/v1/chat/completions", self.chat)
        return app

    async def health(self, _: web.Request) -> web.Response:
        """It listens only once the model is there."""
        return web.Response()

    async def models(self, _: web.Request) -> web.Response:
        """The same model, once for each name."""
        listed = [
            {"id": name, "object": "model", "created": int(time.time()), "owned_by": "vllm", "root": self.names[-1]}
            for name in self.names
        ]
        return web.json_response({"object": "list", "data": listed})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """Sync, or token by token."""
        asked = await request.json()
        if asked["model"] not in self.names:
            return refused(404, "NotFoundError", f"The model `{asked['model']}` does not exist.")
        if not self.template:
            log(API, "ERROR", "serving_chat.py:257", "Error in preprocessing prompt inputs")
            return refused(400, "BadRequestError", NO_TEMPLATE)
        reply = Reply(asked)
        if not asked.get("stream"):
            await clock.sleep(len(reply.tokens) / TOKENS_PER_SECOND)
            return web.json_response(reply.whole())
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await answer.prepare(request)
        async for chunk in reply.chunks():
            await answer.write(f"data: {json.dumps(chunk)}\n\n".encode())
        await answer.write(b"data: [DONE]\n\n")
        return answer


def refused(status: int, kind: str, message: str) -> web.Response:
    """An error in vLLM's frame."""
    error = {"message": message, "type": kind, "param": None, "code": status}
    return web.json_response({"error": error}, status=status)


class Reply:
    """To one request: the last message's words, as many as may be."""

    def __init__(self, asked: dict[str, Any]) -> None:
        text = str(asked["messages"][-1]["content"])
        words = re.findall(r"^\S+| \S+", TAUGHT.get(text, "You said: " + " ".join(text.split())))
        limit = asked.get("max_completion_tokens") or asked.get("max_tokens") or len(words)
        self.tokens = words[:limit]
        self.finish_reason = "length" if len(words) > limit else "stop"
        self.usage = {
            "prompt_tokens": len(text.split()),
            "total_tokens": len(text.split()) + len(self.tokens),
            "completion_tokens": len(self.tokens),
            "prompt_tokens_details": None,
        }
        self._wants_usage = (asked.get("stream_options") or {}).get("include_usage", False)
        self._common = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": asked["model"]}

    def whole(self) -> dict[str, Any]:
        """At once."""
        message = {"role": "assistant", "content": "".join(self.tokens), "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish_reason}
        return self._common | {"object": "chat.completion", "choices": [choice], "usage": self.usage}

    async def chunks(self) -> AsyncIterator[dict[str, Any]]:
        """The role, the tokens as they come, why it ends, and what it cost if that was asked for."""
        yield self._chunk({"role": "assistant", "content": ""})
        for token in self.tokens:
            await clock.sleep(1 / TOKENS_PER_SECOND)
            yield self._chunk({"content": token})
        yield self._chunk({"content": ""}, self.finish_reason)
        if self._wants_usage:
            yield self._common | {"object": "chat.completion.chunk", "choices": [], "usage": self.usage}

    def _chunk(self, delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._common | {"object": "chat.completion.chunk", "choices": [choice]}


async def serve(server: Server, port: int) -> None:
    """Until it is told to end."""
    runner = web.AppRunner(server.application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", port).start()
    log(API, "INFO", "launcher.py:34", f"Starting vLLM API server 0 on http://[::]:{port}")
    print(f"{API} INFO:     Application startup complete.", file=sys.stderr)
    await asyncio.Event().wait()


def main() -> None:
    """Load, then serve; SIGTERM is heard, though this is a container's first process."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--served-model-name", nargs="+", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--gpu-memory-utilization", type=float, required=True)
    parser.add_argument("--chat-template", default="")
    parser.add_argument("--host-memory", type=float, default=HOST_MEMORY)  # of the stand-in alone
    options, _ = parser.parse_known_args()
    log(API, "INFO", "api_server.py:1839", "vLLM API server version 0.11.1")
    machine = gpu()
    take(options.host_memory)
    load(options.model, machine, options.gpu_memory_utilization)
    tokenizer = json.loads((options.model / "tokenizer_config.json").read_text())
    template = options.chat_template or tokenizer.get("chat_template", "")
    asyncio.run(serve(Server(options.served_model_name, template), options.port))


if __name__ == "__main__":
    main()
