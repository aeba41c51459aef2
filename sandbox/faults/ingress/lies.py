"""What the ingress does to requests, row by row. A request that no row of the lie matches goes through unchanged."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import asyncpg  # type: ignore[import-untyped]
from aiohttp import web

from sandbox.client import Client

Forward = Callable[..., Awaitable[web.Response]]
Tell = Callable[[web.Request, Forward], Awaitable[web.StreamResponse]]

ENDPOINTS = r"/v1/model-endpoints"
ENDPOINT = rf"{ENDPOINTS}/[^/]+"
ANY_ENDPOINT = rf"{ENDPOINTS}(/[^/]+)?"
SYNC_TASKS, STREAMING_TASKS, ASYNC_TASKS = r"/v1/sync-tasks", r"/v1/streaming-tasks", r"/v1/async-tasks"
TASKS = r"/v1/(sync|streaming|async)-tasks"
ASYNC_TASK = rf"{ASYNC_TASKS}/[^/]+"
CHAT, LLM_ENDPOINT = r"/v2/chat/completions", r"/v1/llm/model-endpoints/[^/]+"
ANY = r".*"

ANOTHER = "somebody-elses-model"
DONE = "[DONE]"
PAUSE = 0.02  # seconds between two events

# What the gateway's handler for unhandled exceptions says.
INTERNAL_ERROR = {
    "error": "Internal error occurred. Our team has been notified.",
    "timestamp": "2026-11-20 16:03:20 PST",
    "request_id": "6c1b5c1e-9d3a-4d26-8f0a-2f1f6b1f4f0e",
}
SUCCESS = {"status": "SUCCESS", "result": {"result": "{}"}, "traceback": None, "status_code": 200}
FAILURE = {"status": "FAILURE", "result": None, "traceback": "Failed to parse traceback", "status_code": 500}
HTML = "<html>\n<head><title>{0}</title></head>\n<body>\n<center><h1>{0}</h1></center>\n</body>\n</html>\n"


@dataclass(frozen=True)
class Lie:
    """`tell` answers the requests with `method` (a pattern, as `path`) in the gateway's place."""

    method: str
    path: str
    tell: Tell

    def meets(self, request: web.Request) -> bool:
        return bool(re.fullmatch(self.method, request.method) and re.fullmatch(self.path, request.path))


def answer(status: int, body: Any, content_type: str = "application/json", **headers: str) -> Tell:
    """Always this answer."""

    async def tell(request: web.Request, forward: Forward) -> web.StreamResponse:
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(status=status, text=text, content_type=content_type, headers=headers)

    return tell


async def hang(request: web.Request, forward: Forward) -> web.StreamResponse:
    """Take the request and never answer."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


async def truncate(request: web.Request, forward: Forward) -> web.StreamResponse:
    """The gateway's answer, broken off in its middle."""
    whole = await forward(request)
    assert isinstance(whole.body, bytes)
    return web.Response(status=whole.status, body=whole.body[: len(whole.body) // 2], content_type=whole.content_type)


async def no_list(request: web.Request, forward: Forward) -> web.StreamResponse:
    """An object where the list should be, for whoever the gateway lets in."""
    whole = await forward(request)
    body = whole.body if whole.status != 200 else b'{"model_endpoints": {}}'
    return web.Response(status=whole.status, body=body, content_type=whole.content_type)


async def with_credentials(request: web.Request, forward: Forward) -> web.StreamResponse:
    """Requests without credentials get some."""
    return await forward(request, headers={"Authorization": "Bearer ingress"})


async def someone_elses_task(request: web.Request, forward: Forward) -> web.StreamResponse:
    """The task is done with another one's arguments."""
    return await forward(request, body=json.dumps({"args": {"user": "someone-else"}}).encode())


async def success(request: web.Request, forward: Forward) -> web.StreamResponse:
    """Whatever is asked, a SUCCESS that repeats the question, in the contract's shape."""
    args = (await request.json()).get("args")
    if os.environ["CONTRACT"] == "documented":
        return web.json_response({"status": "SUCCESS", "result": args})
    result = {"result": json.dumps(args)}
    return web.json_response({"status": "SUCCESS", "result": result, "traceback": None, "status_code": 200})


async def never_done(request: web.Request, forward: Forward) -> web.StreamResponse:
    """The worker takes the task and is busy with it for ever."""
    asked = await request.json()
    return await forward(request, body=json.dumps(asked | {"args": {**asked["args"], "delay": 1e6}}).encode())


def once_successful(**changed: Any) -> Tell:
    """The gateway's answer, with `changed` from when it says SUCCESS."""

    async def tell(request: web.Request, forward: Forward) -> web.StreamResponse:
        whole = await forward(request)
        assert isinstance(whole.body, bytes)
        task = json.loads(whole.body)
        return web.json_response(task | (changed if task["status"] == "SUCCESS" else {}), status=whole.status)

    return tell


def without(*names: str) -> Tell:
    """The gateway's answer, without the fields of these names, at any depth."""

    def stripped(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: stripped(item) for key, item in value.items() if key not in names}
        return [stripped(item) for item in value] if isinstance(value, list) else value

    async def tell(request: web.Request, forward: Forward) -> web.StreamResponse:
        whole = await forward(request)
        assert isinstance(whole.body, bytes)
        return web.json_response(stripped(json.loads(whole.body)), status=whole.status)

    return tell


async def keep_the_queue(request: web.Request, forward: Forward) -> web.StreamResponse:
    """The endpoint is deleted; its queue is there again."""
    whole = await forward(request)
    name = f"launch-endpoint-id-{request.path.rpartition('/')[2]}"
    headers = {"X-Amz-Target": "AmazonSQS.CreateQueue", "Authorization": "AWS4-HMAC-SHA256 Credential=ingress/"}
    async with (
        aiohttp.ClientSession(raise_for_status=True) as session,
        session.post(os.environ["SQS_URL"], json={"QueueName": name}, headers=headers),
    ):
        return whole


async def forget_the_row(request: web.Request, forward: Forward) -> web.StreamResponse:
    """Delete the endpoint's row in the database, and nothing of it in Kubernetes."""
    database = await asyncpg.connect(os.environ["DATABASE_URL"])
    try:
        query = "DELETE FROM hosted_model_inference.endpoints WHERE id = $1"
        await database.execute(query, request.path.rpartition("/")[2])
    finally:
        await database.close()
    return web.json_response({"deleted": True})


async def nothing_to_say(request: web.Request, forward: Forward) -> web.StreamResponse:
    """A completion without its text."""

    def silent(said: dict[str, Any]) -> dict[str, Any]:
        for choice in said["choices"]:
            choice["message" if "message" in choice else "delta"]["content"] = ""
        return said

    return await retold(request, await forward(request), lambda said: [silent(one) for one in said])


async def by_another(request: web.Request, forward: Forward) -> web.StreamResponse:
    """A completion in another model's name."""
    return await retold(request, await forward(request), lambda said: [one | {"model": ANOTHER} for one in said])


async def stopping(request: web.Request, forward: Forward) -> web.StreamResponse:
    """A stream's first half."""
    return await retold(request, await forward(request), lambda said: said[: max(2, len(said) // 2)])


async def failing(request: web.Request, forward: Forward) -> web.StreamResponse:
    """A stream's first half, and that something went wrong."""
    content = {name: INTERNAL_ERROR[name] for name in ("error", "timestamp")}
    error = {"error": {"status_code": 500, "content": content}}
    whole = await forward(request)
    if not streamed(whole):
        return whole
    return await retold(request, whole, lambda said: [*said[: max(2, len(said) // 2)], error])


async def held_back(request: web.Request, forward: Forward) -> web.StreamResponse:
    """The gateway's answer, all at once when it is whole."""
    return await forward(request)


def streamed(whole: web.Response) -> bool:
    """Whether an answer was a stream of events."""
    return whole.content_type == "text/event-stream"


async def retold(
    request: web.Request, whole: web.Response, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
) -> web.StreamResponse:
    """An answer with its objects changed: the one that it is, or those of its events, in the stream's own time."""
    assert isinstance(whole.body, bytes)
    if not streamed(whole):
        return web.json_response(change([json.loads(whole.body)])[0], status=whole.status)
    end = "\r\n\r\n" if b"\r\n" in whole.body else "\n\n"
    said = [text.removeprefix("data: ") for text in whole.body.decode().split(end)[:-1]]
    objects = [json.loads(text) for text in said if text != DONE]
    told = change(objects)
    answer = web.StreamResponse(status=whole.status, headers={"Content-Type": whole.headers["Content-Type"]})
    await answer.prepare(request)
    for text in (*map(json.dumps, told), *([DONE] if DONE in said and len(told) == len(objects) else ())):
        await answer.write(f"data: {text}{end}".encode())
        await asyncio.sleep(PAUSE)
    return answer


async def leave_the_workers(request: web.Request, forward: Forward) -> web.StreamResponse:
    """The Deployment goes before its pods, and does not take them along."""
    async with Client.from_kubeconfig(os.environ["KUBECONFIG"]) as client:
        deployments = f"/apis/apps/v1/namespaces/{os.environ['ENDPOINT_NAMESPACE']}/deployments"
        selector = f"endpoint_name={request.path.rpartition('/')[2]}"
        for one in await client.list(deployments, labelSelector=selector):
            await client.delete(f"{deployments}/{one['metadata']['name']}", propagationPolicy="Orphan")
    return await forward(request)


LOGIN = "https://login.example.com/oauth2/start?rd=%2F"
NOT_FOUND = {"detail": "Not Found"}
REFUSED = {"detail": "Could not validate credentials"}

# A request gets the first lie that meets it, the older fault's before a later one's.
LIES: dict[str, tuple[Lie, ...]] = {
    "no-openapi": (Lie("GET", r"/openapi\.json", answer(404, NOT_FOUND)),),
    "gateway-open": (Lie(ANY, ANY, with_credentials),),
    "list-not-a-list": (Lie("GET", ENDPOINTS, no_list),),
    "create-500": (Lie("POST", ENDPOINTS, answer(500, INTERNAL_ERROR)),),
    "someone-elses-task": (Lie("POST", TASKS, someone_elses_task),),
    "sync-failure-with-200": (Lie("POST", SYNC_TASKS, answer(200, FAILURE)),),
    "success-to-everything": (
        Lie("POST", SYNC_TASKS, success),
        Lie("GET", ASYNC_TASK, answer(200, {"task_id": "any"} | SUCCESS)),
    ),
    "async-never-done": (Lie("POST", ASYNC_TASKS, never_done),),
    "async-success-with-500": (Lie("GET", ASYNC_TASK, once_successful(status_code=500)),),
    "streaming-answers-nothing": (Lie("POST", STREAMING_TASKS, answer(200, "", "text/event-stream")),),
    "delete-leaves-queue": (Lie("DELETE", ENDPOINT, keep_the_queue),),
    "delete-not-performed": (Lie("DELETE", f"{ENDPOINT}|{LLM_ENDPOINT}", answer(200, {"deleted": True})),),
    "delete-leaves-objects": (Lie("DELETE", ENDPOINT, forget_the_row),),
    "without-status-reason": (Lie("GET", ANY_ENDPOINT, without("status_reason")),),
    "chat-empty": (Lie("POST", CHAT, nothing_to_say),),
    "chat-another-model": (Lie("POST", CHAT, by_another),),
    "stream-stops": (Lie("POST", CHAT, stopping),),
    "stream-error": (Lie("POST", CHAT, failing),),
    "stream-in-one-chunk": (Lie("POST", CHAT, held_back),),
    "llm-workers-left": (Lie("DELETE", LLM_ENDPOINT, leave_the_workers),),
    "token-refused": (Lie(ANY, r"/v[12]/.*", answer(401, REFUSED, **{"WWW-Authenticate": "Bearer"})),),
    "gateway-html": (Lie(ANY, ANY, answer(200, HTML.format("Welcome to nginx!"), "text/html")),),
    "gateway-502": (Lie(ANY, ANY, answer(502, HTML.format("502 Bad Gateway"), "text/html")),),
    "gateway-truncated-json": (Lie(ANY, r"/v[12]/.*", truncate),),
    "gateway-hangs": (Lie(ANY, ANY, hang),),
    "gateway-login-redirect": (Lie(ANY, ANY, answer(302, "", "text/html", Location=LOGIN)),),
}
