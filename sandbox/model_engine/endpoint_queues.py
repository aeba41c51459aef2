"""The queue an async endpoint's tasks wait in: on AWS one of SQS; elsewhere a list in Redis, which needs no making."""

from __future__ import annotations

import asyncio
import functools
import json
import string
from typing import Any

from sandbox.model_engine import config
from sandbox.model_engine.loggers import make_logger

VISIBILITY_TIMEOUT = 43200  # seconds, of a queue whose endpoint names none

logger = make_logger("model_engine_server.infra.gateways.resources.sqs_queue_endpoint_resource_delegate")

Object = dict[str, Any]


class EndpointResourceInfraException(Exception):
    """Kubernetes, or SQS, did not take an object."""


def queue_name(endpoint_id: str) -> str:
    """``launch-endpoint-id-end_…``, with the underscore that Kubernetes' names cannot have."""
    return f"launch-endpoint-id-{endpoint_id}"


def has_queues(*, builder: bool = False) -> bool:
    """Whether a queue is something to create. The released builder thinks so in every cloud."""
    return config.cloud() == "aws" or (builder and not config.patched())


async def create(task: Object) -> str:
    """The queue's URL, empty where there is none. `task`: see `endpoints.Endpoints.create`."""
    if not has_queues(builder=True):
        return ""
    return await asyncio.to_thread(_create, task)


async def delete(endpoint_id: str) -> None:
    """Remove it; none is no error. EndpointResourceInfraException when SQS refuses."""
    if has_queues():
        await asyncio.to_thread(_delete, endpoint_id)


async def waiting(endpoint_id: str) -> int | None:
    """How many tasks wait, None where nobody counts them. EndpointResourceInfraException."""
    if not has_queues():
        return None
    return await asyncio.to_thread(_waiting, endpoint_id)


@functools.cache
def sqs() -> Any:
    """A client that lives as long as the process."""
    import boto3  # half a second that a program without async endpoints does not need

    return boto3.client("sqs", region_name=config.infra_config()["default_region"])


def _create(task: Object) -> str:
    from botocore.exceptions import ClientError

    record, launch = task["record"], config.service_config()
    name = queue_name(record["id"])
    try:
        return str(sqs().get_queue_url(QueueName=name)["QueueUrl"])
    except ClientError:
        logger.info("Queue does not exist, creating it")
    tags = string.Template(launch["sqs_queue_tag_template"]).substitute(
        team=task["labels"]["team"],
        endpoint_id=record["id"],
        endpoint_name=record["name"],
        endpoint_created_by=record["created_by"],
    )
    attributes = {
        "VisibilityTimeout": str(task["queue_message_timeout_seconds"] or VISIBILITY_TIMEOUT),
        "Policy": string.Template(launch["sqs_queue_policy_template"]).substitute(queue_name=name),
    }
    try:
        return str(sqs().create_queue(QueueName=name, Attributes=attributes, tags=json.loads(tags))["QueueUrl"])
    except ClientError as error:
        raise EndpointResourceInfraException("Failed to create SQS queue") from error


def _delete(endpoint_id: str) -> None:
    from botocore.exceptions import ClientError

    name = queue_name(endpoint_id)
    try:
        url = sqs().get_queue_url(QueueName=name)["QueueUrl"]
    except ClientError:
        logger.info(f"Could not get queue url for queue_name={name}, endpoint_id={endpoint_id}, skipping delete")
        return
    try:
        sqs().delete_queue(QueueUrl=url)
    except ClientError as error:
        raise EndpointResourceInfraException("Failed to delete SQS queue") from error


def _waiting(endpoint_id: str) -> int:
    from botocore.exceptions import ClientError

    name = queue_name(endpoint_id)
    try:
        url = sqs().get_queue_url(QueueName=name)["QueueUrl"]
    except ClientError as error:
        raise EndpointResourceInfraException(f"Could not find queue {name} for endpoint {endpoint_id}") from error
    try:
        answer = sqs().get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    except ClientError as error:
        raise EndpointResourceInfraException("Failed to get SQS queue attributes") from error
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])
