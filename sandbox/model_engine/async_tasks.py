"""An async task: its request waits in the endpoint's queue, its answer in the result backend."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from celery import Celery

from sandbox.model_engine import task_queue
from sandbox.model_engine.endpoint_rules import InvalidRequest
from sandbox.model_engine.loggers import make_logger
from sandbox.model_engine.requests import EndpointPredictV1Request
from sandbox.model_engine.store import Row

EXPIRES = 86400  # seconds that a task waits at most, of an endpoint that says nothing else
STATES = {"PENDING", "STARTED", "SUCCESS", "FAILURE"}

logger = make_logger("model_engine_server.infra.gateways.celery_task_queue_gateway")

Answer = dict[str, Any]


class NotSentError(Exception):
    """SQS refuses a task: of an async endpoint a bad request, of the builder nothing that the gateway expects."""


async def create(celery: Celery, row: Row, request: EndpointPredictV1Request) -> Answer:
    """Enqueue for the endpoint of `row`. InvalidRequest when SQS refuses."""
    arguments = [request.model_dump(mode="json"), datetime.now().isoformat(), request.return_pickled]
    expires = row["task_expires_seconds"] or EXPIRES
    try:
        return {"task_id": await send(celery, task_queue.PREDICT_TASK, arguments, row["destination"], expires)}
    except NotSentError as error:
        raise InvalidRequest(str(error)) from error


async def send(celery: Celery, task: str, arguments: list[Any], queue: str, expires: int | None = None) -> str:
    """The task's id, with the gateway's log lines. NotSentError when SQS refuses; other errors as they are."""
    from botocore.exceptions import ClientError

    try:
        task_id = await asyncio.to_thread(task_queue.send, celery, task, arguments, queue, expires)
    except ClientError as error:
        logger.exception(f"Error sending task to queue {queue}: {error}")
        raise NotSentError(f"Error sending celery task: {error}") from error
    except Exception as error:
        logger.error(f"Error sending task to queue {queue}: {error}")
        raise
    logger.info(f"Task {task_id} sent to queue {queue} from gateway")
    return task_id


async def get(celery: Celery, task_id: str) -> Answer:
    """The task's answer; of one that nobody has heard of that it is PENDING."""
    return await asyncio.to_thread(_get, celery, task_id)


def _get(celery: Celery, task_id: str) -> Answer:
    found = celery.AsyncResult(task_id)
    state, result, status_code = found.state, None, None
    if state == "SUCCESS":
        result = dict(found.result)
        status_code = result.pop("status_code", None)
    elif state == "FAILURE":
        result = str(found.result)
    elif state == "RETRY":
        state = "PENDING"
    return {
        "task_id": task_id,
        "status": state if state in STATES else "UNDEFINED",
        "result": result,
        "traceback": found.traceback,
        "status_code": status_code,
    }
