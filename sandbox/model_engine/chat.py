"""A chat completion: the endpoint's worker answers as vLLM does, the gateway puts the endpoint's name to it."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import HTTPException

from sandbox import clock
from sandbox.model_engine import checkpoints, sse, streaming_tasks, sync_tasks
from sandbox.model_engine.endpoint_rules import InvalidRequest
from sandbox.model_engine.llm_requests import (
    ChatCompletionV2Request,
    ChatCompletionV2StreamSuccessChunk,
    ChatCompletionV2SyncResponse,
)
from sandbox.model_engine.loggers import make_logger
from sandbox.model_engine.requests import Arguments, SyncEndpointPredictV1Request
from sandbox.model_engine.store import Row

ROUTE = "/v1/chat/completions"
RETRIES, BUDGET = 80, 300.0  # of a worker that is not there yet; the budget in seconds
INTERNAL_ERROR = "Internal error occurred. Our team has been notified."

logger = make_logger("model_engine_server.api.v2.chat_completion")


async def sync(row: Row, request: ChatCompletionV2Request) -> ChatCompletionV2SyncResponse:
    """The whole answer. HTTPException: 400 with what the worker finds wrong, 500 when it fails."""
    try:
        answer = await sync_tasks.predict(row["destination"], task(request))
    except InvalidRequest as error:
        raise HTTPException(400, error.args[0]) from error
    if answer.status != "SUCCESS":
        raise HTTPException(500, f"Upstream service error for request_id {uuid.uuid4()}")
    return ChatCompletionV2SyncResponse.model_validate(json.loads(answer.result["result"]) | {"model": row["name"]})


async def stream(row: Row, request: ChatCompletionV2Request) -> AsyncIterator[str]:
    """The events, once the worker has sent the first. HTTPException, 500, when it does not."""
    chunks = _chunks(row, request)
    try:
        first = await anext(chunks)
    except Exception as error:
        logger.exception(INTERNAL_ERROR)
        raise HTTPException(500, INTERNAL_ERROR) from error
    return _events(first, chunks)


def task(request: ChatCompletionV2Request) -> SyncEndpointPredictV1Request:
    """What is sent to the endpoint's forwarder."""
    args = request.model_dump(exclude_none=True) | {"model": checkpoints.FOLDER}
    return SyncEndpointPredictV1Request(
        args=Arguments(args), destination_path=ROUTE, num_retries=RETRIES, timeout_seconds=clock.scaled(BUDGET)
    )


async def _chunks(row: Row, request: ChatCompletionV2Request) -> AsyncIterator[str]:
    async for answer in streaming_tasks.answers(row["destination"], task(request)):
        if answer.status != "SUCCESS":
            raise sync_tasks.UpstreamServiceError(500, (answer.traceback or "").encode())
        result: Any = answer.result["result"]
        if "DONE" in result:  # the end of vLLM's stream; the gateway's ends without
            continue
        chunk = ChatCompletionV2StreamSuccessChunk.model_validate(result | {"model": row["name"]})
        yield chunk.model_dump_json(exclude_none=True)


async def _events(first: str, chunks: AsyncIterator[str]) -> AsyncIterator[str]:
    yield sse.event(first)
    try:
        async for chunk in chunks:
            yield sse.event(chunk)
    except Exception:
        logger.exception(INTERNAL_ERROR)
        timestamp = datetime.now(ZoneInfo("US/Pacific")).strftime("%Y-%m-%d %H:%M:%S %Z")
        content = {"error": INTERNAL_ERROR, "timestamp": timestamp}
        yield sse.event(json.dumps({"error": {"status_code": 500, "content": content}}))
