"""The released gateway's routes for LLM endpoints, and for chat completions by them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException
from fastapi.responses import StreamingResponse

from sandbox.model_engine import chat, llm_endpoints, sse
from sandbox.model_engine.authentication import Authenticated
from sandbox.model_engine.endpoint_rules import InvalidRequest
from sandbox.model_engine.endpoints import DeleteFailed
from sandbox.model_engine.interfaces import Interfaces
from sandbox.model_engine.llm_requests import (
    ChatCompletionV2Request,
    ChatCompletionV2SyncResponse,
    CreateLLMModelEndpointV1Request,
)
from sandbox.model_engine.loggers import make_logger
from sandbox.model_engine.requests import ModelEndpointOrderBy
from sandbox.model_engine.responses import llm_endpoint_response
from sandbox.model_engine.store import Row

logger = make_logger("model_engine_server.api.llms_v1")

router = APIRouter()


@router.post("/v1/llm/model-endpoints")
async def create_llm_endpoint(
    request: CreateLLMModelEndpointV1Request, auth: Authenticated, endpoints: Interfaces
) -> dict[str, str]:
    logger.info(f"POST /llm/model-endpoints with {request} for {auth}")
    try:
        return {"endpoint_creation_task_id": await llm_endpoints.create(endpoints, auth.team_id, request)}
    except InvalidRequest as error:
        raise HTTPException(400, str(error)) from error
    except llm_endpoints.ImageNotFound as error:
        raise HTTPException(404, "The specified docker image could not be found.") from error


@router.get("/v1/llm/model-endpoints")
async def list_llm_endpoints(
    auth: Authenticated,
    endpoints: Interfaces,
    name: str | None = None,
    order_by: ModelEndpointOrderBy | None = None,
) -> dict[str, list[Row]]:
    logger.info(f"GET /llm/model-endpoints?name={name}&order_by={order_by} for {auth}")
    rows = await endpoints.records.list_llms(auth.team_id, name, order_by)
    return {"model_endpoints": [llm_endpoint_response(row, await endpoints.infra_state(row)) for row in rows]}


@router.get("/v1/llm/model-endpoints/{model_endpoint_name}")
async def get_llm_endpoint(model_endpoint_name: str, auth: Authenticated, endpoints: Interfaces) -> Row:
    logger.info(f"GET /llm/model-endpoints/{model_endpoint_name} for {auth}")
    row = await endpoints.records.get_llm(model_endpoint_name)
    if row is None or not (row["owner"] == auth.team_id or row["public_inference"]):
        raise HTTPException(404, f"Model Endpoint {model_endpoint_name}  was not found.")
    return llm_endpoint_response(row, await endpoints.infra_state(row))


@router.delete("/v1/llm/model-endpoints/{model_endpoint_name}")
async def delete_llm_endpoint(model_endpoint_name: str, auth: Authenticated, endpoints: Interfaces) -> dict[str, bool]:
    logger.info(f"DELETE /llm/model-endpoints/{model_endpoint_name} for {auth}")
    rows = await endpoints.records.list_llms(auth.team_id, model_endpoint_name)
    if not rows or await endpoints.records.get(rows[0]["id"], auth.team_id) is None:
        raise HTTPException(404, "The requested model endpoint could not be found.")
    try:
        await endpoints.delete(rows[0]["id"])
    except DeleteFailed as error:
        raise HTTPException(500, "deletion of endpoint failed, compute resources still exist.") from error
    return {"deleted": True}


@router.post("/v2/chat/completions")
async def chat_completion(request: ChatCompletionV2Request, auth: Authenticated, endpoints: Interfaces) -> Any:
    kind = "stream" if request.stream else "sync"
    logger.info(f"POST /v2/chat/completion ({kind}) with {request} to endpoint {request.model} for {auth}")
    rows = await endpoints.records.list_llms(auth.team_id, request.model)
    if not rows:
        missing = "The specified endpoint could not be found."
        raise HTTPException(404, f"Model endpoint {request.model} not found." if request.stream else missing)
    if not request.stream:
        answer: ChatCompletionV2SyncResponse = await chat.sync(rows[0], request)
        return answer
    events = await chat.stream(rows[0], request)
    return StreamingResponse(events, headers=sse.HEADERS, media_type=sse.CONTENT_TYPE)


@router.post("/v1/llm/completions-{kind}")
async def completion(kind: str) -> None:
    raise NotImplementedError(f"POST /v1/llm/completions-{kind}")
