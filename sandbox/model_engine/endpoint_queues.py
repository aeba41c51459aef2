"""The queue an async endpoint's tasks wait in: one of SQS or Service Bus; else a list in Redis, made by no one."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import string
from typing import Any

from sandbox.model_engine import config
from sandbox.model_engine.loggers import make_logger

VISIBILITY_TIMEOUT = 43200  # seconds, of a queue whose endpoint names none

logger = make_logger("model_engine_server.infra.gateways.resources.sqs_queue_endpoint_resource_delegate")
bus_logger = make_logger("model_engine_server.infra.gateways.resources.asb_queue_endpoint_resource_delegate")

Object = dict[str, Any]


class EndpointResourceInfraException(Exception):
    """Kubernetes, or the broker, did not take an object."""


def queue_name(endpoint_id: str) -> str:
    """``launch-endpoint-id-end_…``, with the underscore that Kubernetes' names cannot have."""
    return f"launch-endpoint-id-{endpoint_id}"


def has_queues(*, builder: bool = False) -> bool:
    """Whether a queue is something to create. The released builder thinks so in every cloud."""
    return config.cloud() in ("aws", "azure") or (builder and not config.patched())


async def create(task: Object) -> str:
    """The queue's URL, empty where there is none. `task`: see `endpoints.Endpoints.create`."""
    if not has_queues(builder=True):
        return ""
    return await asyncio.to_thread(_on_bus_create if config.cloud() == "azure" else _create, task)


async def delete(endpoint_id: str) -> None:
    """Remove it; none is no error. EndpointResourceInfraException when SQS refuses."""
    if has_queues():
        await asyncio.to_thread(_on_bus_delete if config.cloud() == "azure" else _delete, endpoint_id)


async def waiting(endpoint_id: str) -> int | None:
    """How many tasks wait, None where nobody counts them. EndpointResourceInfraException."""
    if not has_queues():
        return None
    return await asyncio.to_thread(_on_bus_waiting if config.cloud() == "azure" else _waiting, endpoint_id)


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


def _on_bus_create(task: Object) -> str:
    """A queue of Service Bus has no URL."""
    from azure.core.exceptions import ResourceExistsError

    from sandbox.model_engine import azure

    with contextlib.suppress(ResourceExistsError):  # a build that is done again
        azure.queues().create_queue(queue_name(task["record"]["id"]))
    return ""


def _on_bus_delete(endpoint_id: str) -> None:
    from azure.core.exceptions import ResourceNotFoundError

    from sandbox.model_engine import azure

    name = queue_name(endpoint_id)
    try:
        azure.queues().delete_queue(name)
    except ResourceNotFoundError:
        bus_logger.info(f"Could not find ASB queue {name} for endpoint {endpoint_id}")


def _on_bus_waiting(endpoint_id: str) -> int:
    from sandbox.model_engine import azure

    return int(azure.queues().get_queue_runtime_properties(queue_name(endpoint_id)).active_message_count)
