"""A streaming task: the endpoint's events, each in the frame of a sync task's answer."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator

import aiohttp

from sandbox.model_engine import sse, sync_tasks
from sandbox.model_engine.loggers import make_logger
from sandbox.model_engine.requests import SyncEndpointPredictV1Request, SyncEndpointPredictV1Response

STREAM = "/stream"

logger = make_logger("model_engine_server.infra.gateways.live_streaming_model_endpoint_inference_gateway")


async def predict(destination: str, request: SyncEndpointPredictV1Request) -> AsyncIterator[str]:
    """The events to send; a failure of the endpoint is one. InvalidRequest when the endpoint answers 400."""
    async for answer in answers(destination, request):
        yield sse.event(answer.model_dump_json())


async def answers(
    destination: str, request: SyncEndpointPredictV1Request
) -> AsyncIterator[SyncEndpointPredictV1Response]:
    """The endpoint's answers as they come; its failure is one. InvalidRequest when it answers 400."""
    url, body = sync_tasks.address(destination, request, STREAM), request.model_dump(exclude_none=True)
    async with contextlib.AsyncExitStack() as stack:
        try:
            answer = await sync_tasks.with_retries(lambda: _open(stack, url, body), request)
        except sync_tasks.UpstreamServiceError as error:
            logger.error(f"Service error on streaming task: {error.content!r}")
            yield sync_tasks.failure(error)
            return
        async for data in sse.events(answer):
            yield SyncEndpointPredictV1Response(status="SUCCESS", result=json.loads(data), status_code=200)


async def _open(stack: contextlib.AsyncExitStack, url: str, body: object) -> aiohttp.ClientResponse:
    session = await stack.enter_async_context(aiohttp.ClientSession())
    answer = await stack.enter_async_context(session.post(url, json=body))
    if answer.status == 200:
        return answer
    raise sync_tasks.UpstreamServiceError(answer.status, await answer.read())
