"""The documented gateway's LLM routes: the smoke-test document's examples to the letter."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import StreamingResponse

from sandbox.model_engine import chat, config, endpoint_rules, llm_endpoints, models, streaming_tasks, sync_tasks
from sandbox.model_engine.authentication import Authenticated
from sandbox.model_engine.documented_status import interfaces, shown
from sandbox.model_engine.endpoints import DeleteFailed, Endpoints
from sandbox.model_engine.llm_requests import LLM, ChatCompletionV2Request, CreateVLLMEndpointRequest
from sandbox.model_engine.store import Row

router = APIRouter()


@router.post("/v1/llm/model-endpoints")
async def create(body: CreateVLLMEndpointRequest, auth: Authenticated, request: Request) -> dict[str, str]:
    """Where the model's weights are is known to the deployment."""
    endpoints = interfaces(request)
    body.checkpoint_path = f"{models.PREFIXES[config.cloud()]}/{body.model_name}-instruct"
    body.nodes_per_worker = 1
    try:
        llm_endpoints.check(body)
        if await endpoints.store.endpoints(owner=auth.team_id, name=body.name):
            raise endpoint_rules.InvalidRequest("The specified model endpoint already exists.")
        return {"endpoint_creation_task_id": await llm_endpoints.start(endpoints, auth.team_id, body)}
    except endpoint_rules.InvalidRequest as error:
        raise HTTPException(400, str(error)) from error


@router.get("/v1/llm/model-endpoints/{name}")
async def get(name: str, auth: Authenticated, request: Request) -> dict[str, Any]:
    endpoints = interfaces(request)
    row = await owned(endpoints, name, auth)
    return await shown(endpoints, row) | {"model_name": row["endpoint_metadata"][LLM]["model_name"]}


@router.delete("/v1/llm/model-endpoints/{name}")
async def delete(name: str, auth: Authenticated, request: Request) -> dict[str, bool]:
    endpoints = interfaces(request)
    row = await owned(endpoints, name, auth)
    try:
        await endpoints.delete(row["id"])
    except DeleteFailed as error:
        raise HTTPException(500, "deletion of endpoint failed, compute resources still exist.") from error
    return {"deleted": True}


@router.post("/v2/chat/completions")
async def chat_completion(body: ChatCompletionV2Request, auth: Authenticated, request: Request) -> Any:
    """As vLLM answers it, under the endpoint's name."""
    row = await owned(interfaces(request), body.model, auth)
    if not body.stream:
        return await chat.sync(row, body)
    answers = streaming_tasks.answers(row["destination"], chat.task(body))
    return StreamingResponse(events(row, answers), media_type="text/event-stream")


async def events(row: Row, answers: AsyncIterator[Any]) -> AsyncIterator[str]:
    """With the end that OpenAI's have, too."""
    async for answer in answers:
        if answer.status != "SUCCESS":
            raise sync_tasks.UpstreamServiceError(500, (answer.traceback or "").encode())
        result = answer.result["result"]
        data = result if isinstance(result, str) else json.dumps(result | {"model": row["name"]})
        yield f"data: {data}\n\n"


async def owned(endpoints: Endpoints, name: str, auth: Authenticated) -> Row:
    """The user's LLM endpoint of this name. HTTPException, 404."""
    for row in await endpoints.store.endpoints(owner=auth.team_id, name=name):
        if LLM in row["endpoint_metadata"]:
            return row
    raise HTTPException(404, f"Model endpoint {name} was not found.")
