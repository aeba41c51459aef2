"""The lying ingress, row by row, in front of a small gateway that echoes."""

import asyncio
import json
import os
import time

import aiohttp
import pytest
from aiohttp import web

from sandbox.faults.ingress.program import Ingress

TOKEN = {"Authorization": "Bearer somebody"}
TASK = {"args": {"nonce": "n-1"}}
LISTED = {"model_endpoints": [{"id": "end_1"}]}


CHAT = "/v2/chat/completions"
COMPLETION = {"model": "llm-1", "choices": [{"message": {"role": "assistant", "content": "One, two."}}]}
CHUNKS = [{"model": "llm-1", "choices": [{"delta": {"content": text}}]} for text in ("", "One,", " two", ".", "")]
CHUNKS[-1]["choices"][0]["finish_reason"] = "stop"
APART = 0.05


async def chat(request):
    """A completion, or its chunks one after the other, with the end that the contract has."""
    if not (await request.json()).get("stream"):
        return web.json_response(COMPLETION)
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    documented = os.environ["CONTRACT"] == "documented"
    for text in (*map(json.dumps, CHUNKS), *(["[DONE]"] if documented else [])):
        await answer.write(f"data: {text}".encode() + (b"\n\n" if documented else b"\r\n\r\n"))
        await asyncio.sleep(APART)
    return answer


async def gateway(request):
    """Refuses without credentials, lists one endpoint, echoes tasks, chats."""
    if request.path == CHAT:
        return await chat(request)
    if "Authorization" not in request.headers:
        return web.json_response({"detail": "No authentication was passed in"}, status=401)
    if request.path == "/v1/sync-tasks":
        return web.json_response({"result": (await request.json())["args"]})
    return web.json_response(LISTED)


async def served(handler, runners):
    """The address of an application with this one handler."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    runners.append(runner)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return "http://{}:{}".format(*runner.addresses[0])


def through(lie, method, path, *, headers=TOKEN, body=None, timeout=5.0):
    """(status, headers, text) of one request through the ingress."""

    async def session():
        runners = []
        try:
            async with aiohttp.ClientSession() as upstream:
                ingress = Ingress(lie, await served(gateway, runners), upstream)
                url = await served(ingress.handle, runners) + path
                limit = aiohttp.ClientTimeout(total=timeout)
                async with (
                    aiohttp.ClientSession(timeout=limit) as client,
                    client.request(method, url, headers=headers, json=body, allow_redirects=False) as answer,
                ):
                    return answer.status, answer.headers, await answer.text()
        finally:
            await asyncio.gather(*(runner.cleanup() for runner in runners))

    return asyncio.run(session())


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch):
    """What the pod is given."""
    monkeypatch.setenv("SIGNS", str(tmp_path / "signs.jsonl"))
    monkeypatch.setenv("SERVICE", "service/model-engine/model-engine")
    monkeypatch.setenv("CONTRACT", "released")


@pytest.mark.parametrize(
    ("lie", "method", "path", "status", "text"),
    [
        ("no-openapi", "GET", "/openapi.json", 404, "Not Found"),
        ("list-not-a-list", "GET", "/v1/model-endpoints?name=x", 200, '{"model_endpoints": {}}'),
        ("create-500", "POST", "/v1/model-endpoints", 500, "Internal error occurred"),
        ("sync-failure-with-200", "POST", "/v1/sync-tasks?model_endpoint_id=end_1", 200, '"status": "FAILURE"'),
        ("delete-not-performed", "DELETE", "/v1/model-endpoints/end_1", 200, '{"deleted": true}'),
        ("token-refused", "GET", "/v1/model-endpoints", 401, "Could not validate credentials"),
        ("gateway-html", "GET", "/v1/model-endpoints", 200, "<html>"),
        ("gateway-502", "GET", "/healthz", 502, "502 Bad Gateway"),
        ("gateway-login-redirect", "GET", "/v1/model-endpoints", 302, ""),
        (
            "gateway-truncated-json",
            "GET",
            "/v1/model-endpoints",
            200,
            json.dumps(LISTED)[: len(json.dumps(LISTED)) // 2],
        ),
    ],
)
def test_a_lie_answers_in_the_gateways_place(lie, method, path, status, text, tmp_path):
    answered, _, body = through(lie, method, path, body=TASK)
    assert (answered, text in body) == (status, True)
    sign = json.loads((tmp_path / "signs.jsonl").read_text())
    assert (sign["sign"], sign["object"]) == (lie, "service/model-engine/model-engine")


def test_what_a_lie_does_not_meet_goes_through_unchanged(tmp_path):
    assert json.loads(through("create-500", "GET", "/v1/model-endpoints")[2]) == LISTED
    assert through("list-not-a-list", "GET", "/v1/model-endpoints/end_1", headers={})[0] == 401
    assert json.loads(through("list-not-a-list", "POST", "/v1/sync-tasks", body=TASK)[2]) == {"result": TASK["args"]}
    assert not (tmp_path / "signs.jsonl").exists()


def test_an_open_gateway_lists_for_everybody():
    assert json.loads(through("gateway-open", "GET", "/v1/model-endpoints", headers={})[2]) == LISTED


def test_a_task_is_done_with_somebody_elses_arguments():
    answer = json.loads(through("someone-elses-task", "POST", "/v1/sync-tasks", body=TASK)[2])
    assert answer["result"] == {"user": "someone-else"}


@pytest.mark.parametrize(
    ("contract", "result"), [("released", {"result": json.dumps(TASK["args"])}), ("documented", TASK["args"])]
)
def test_success_to_everything_has_the_contracts_shape(contract, result, monkeypatch):
    monkeypatch.setenv("CONTRACT", contract)
    answer = json.loads(through("success-to-everything", "POST", "/v1/sync-tasks?model_endpoint_id=no", body=TASK)[2])
    assert (answer["status"], answer["result"]) == ("SUCCESS", result)


def test_a_gateway_that_hangs_never_answers():
    with pytest.raises(TimeoutError):
        through("gateway-hangs", "GET", "/healthz", timeout=0.5)


def told(text):
    """The data of a stream's events; chunks as objects."""
    said = [line.removeprefix("data: ") for line in text.splitlines() if line]
    return [one if one == "[DONE]" else json.loads(one) for one in said]


SILENT = [{"model": "llm-1", "choices": [one["choices"][0] | {"delta": {"content": ""}}]} for one in CHUNKS]


@pytest.mark.parametrize("contract", ["released", "documented"])
@pytest.mark.parametrize(
    ("lie", "completion", "chunks"),
    [
        ("no-openapi", COMPLETION, CHUNKS),
        ("chat-empty", COMPLETION | {"choices": [{"message": {"role": "assistant", "content": ""}}]}, SILENT),
        (
            "chat-another-model",
            COMPLETION | {"model": "somebody-elses-model"},
            [one | {"model": "somebody-elses-model"} for one in CHUNKS],
        ),
        ("stream-stops", COMPLETION, CHUNKS[:2]),
        ("stream-error", COMPLETION, CHUNKS[:2]),
        ("stream-in-one-chunk", COMPLETION, CHUNKS),
    ],
)
def test_lies_about_chat(lie, completion, chunks, contract, monkeypatch):
    monkeypatch.setenv("CONTRACT", contract)
    assert json.loads(through(lie, "POST", CHAT, body={})[2]) == completion
    _, headers, text = through(lie, "POST", CHAT, body={"stream": True})
    assert headers["Content-Type"].startswith("text/event-stream")
    events = told(text)
    whole = ["[DONE]"] if contract == "documented" and len(chunks) == len(CHUNKS) else []
    if lie == "stream-error":
        assert events.pop()["error"]["content"]["error"].startswith("Internal error occurred.")
        whole = []
    assert events == chunks + whole
    assert ("\r\n" in text) == (contract == "released")


@pytest.mark.parametrize(("lie", "at_once"), [("no-openapi", False), ("stream-in-one-chunk", True)])
def test_a_stream_comes_in_its_own_time_unless_it_is_held_back(lie, at_once):
    async def session():
        runners, seen = [], []
        try:
            async with aiohttp.ClientSession() as upstream:
                ingress = Ingress(lie, await served(gateway, runners), upstream)
                url = await served(ingress.handle, runners) + CHAT
                async with aiohttp.ClientSession() as client, client.post(url, json={"stream": True}) as answer:
                    async for _ in answer.content.iter_any():
                        seen.append(time.monotonic())
        finally:
            await asyncio.gather(*(runner.cleanup() for runner in runners))
        return seen[-1] - seen[0]

    assert (asyncio.run(session()) < APART) == at_once
