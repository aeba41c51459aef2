"""A sync task: the request goes to the endpoint's Service, again and again until it answers or the budget is spent."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiohttp

from sandbox import clock
from sandbox.model_engine import config
from sandbox.model_engine.endpoint_rules import InvalidRequest
from sandbox.model_engine.loggers import make_logger
from sandbox.model_engine.requests import SyncEndpointPredictV1Request, SyncEndpointPredictV1Response

T = TypeVar("T")

PREDICT = "/predict"
RETRIES = 8
BUDGET = 10.0  # seconds: bounds the retries, not an answer that is slow
LONGEST_WAIT, WAIT_BASE = 5.0, 1.2

TOO_MANY = (429, b"Too many concurrent requests", "Hit max # of retries, returning 429 to client")
NO_PODS = (503, b"No healthy upstream", "Pods didn't spin up in time, returning 503 to client")
NO_CONNECTION = (503, b"No healthy upstream", "ClientConnectorError, returning 503 to client")

logger = make_logger("model_engine_server.infra.gateways.live_sync_model_endpoint_inference_gateway")


class UpstreamServiceError(Exception):
    """The endpoint answered `status_code` with `content`, or nothing in time."""

    def __init__(self, status_code: int, content: bytes) -> None:
        super().__init__(content)
        self.status_code, self.content = status_code, content


async def predict(destination: str, request: SyncEndpointPredictV1Request) -> SyncEndpointPredictV1Response:
    """The task's answer, a failure of the endpoint included. InvalidRequest when the endpoint answers 400."""
    url, body = address(destination, request, PREDICT), request.model_dump(exclude_none=True)
    try:
        result = await with_retries(lambda: _post(url, body), request)
    except UpstreamServiceError as error:
        logger.error(f"Service error on sync task: {error.content!r}")
        return failure(error)
    return SyncEndpointPredictV1Response(status="SUCCESS", result=result, status_code=200)


def address(destination: str, request: SyncEndpointPredictV1Request, path: str) -> str:
    """Where the endpoint's Service takes tasks; `path`: unless the request names one."""
    namespace = config.service_config()["endpoint_namespace"]
    return f"http://{destination}.{namespace}.svc.cluster.local{request.destination_path or path}"


async def with_retries(send: Callable[[], Awaitable[T]], request: SyncEndpointPredictV1Request) -> T:
    """What `send` returns. UpstreamServiceError when the endpoint fails, or has nobody to answer in time."""
    budget = clock.scaled(BUDGET) if request.timeout_seconds is None else request.timeout_seconds
    retries = RETRIES if request.num_retries is None else request.num_retries
    start = time.monotonic()
    for attempt in range(retries + 1):
        if attempt:
            await clock.sleep(min(LONGEST_WAIT, WAIT_BASE ** (attempt - 1)))
            logger.info(f"Retry number {attempt + 1}")
        try:
            return await send()
        except aiohttp.ClientConnectorError:
            failed = NO_CONNECTION
        except UpstreamServiceError as error:
            if error.status_code not in (429, 503):
                raise
            failed = TOO_MANY if error.status_code == 429 else NO_PODS
        if time.monotonic() - start >= budget:
            break
    status, content, line = failed
    logger.warning(line)
    raise UpstreamServiceError(status, content)


async def _post(url: str, body: Any) -> Any:
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
        if answer.status == 200:
            return await answer.json()
        raise UpstreamServiceError(answer.status, await answer.read())


def failure(error: UpstreamServiceError) -> SyncEndpointPredictV1Response:
    """The task's answer when its endpoint failed. InvalidRequest for a 400."""
    text = error.content.decode()
    try:
        answer = json.loads(text)
        if "result" in answer:
            answer = json.loads(answer["result"])
        detail = answer.get("detail", {})
        traceback = detail.get("traceback", "Failed to parse traceback") if isinstance(detail, dict) else text
    except (ValueError, AttributeError, TypeError) as problem:
        logger.error(f"Failed to parse error: {problem}")
        answer, traceback = text, text
    if error.status_code == 400:
        raise InvalidRequest(answer)
    return SyncEndpointPredictV1Response(status="FAILURE", traceback=traceback, status_code=error.status_code)
