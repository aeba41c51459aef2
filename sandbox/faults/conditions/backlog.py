"""The builder works off a deep queue: one build of another team's, queued again and again. Its log grows long by it."""

from typing import Any

import boto3

from sandbox.faults.acts import another_team
from sandbox.faults.acts.scale import BUILDER, scale
from sandbox.faults.acts.until import until
from sandbox.handle import Sandbox

QUEUE = "model-engine-service-builder"
DEPTH = 40


async def break_(sandbox: Sandbox) -> None:
    await scale(sandbox, BUILDER, 0)
    await another_team.create(sandbox, "chat-of-another-team")
    sqs = client(sandbox)
    url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    [message] = sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)["Messages"]
    for _ in range(DEPTH):
        sqs.send_message(QueueUrl=url, MessageBody=message["Body"])
    await scale(sandbox, BUILDER, 1)


async def heal(sandbox: Sandbox) -> None:
    sqs = client(sandbox)
    url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]

    async def empty() -> bool:
        counted = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return all(value == "0" for name, value in counted.items() if name.startswith("ApproximateNumberOfMessages"))

    await until(empty, "the builder's queue is empty")
    await another_team.remove(sandbox)


def client(sandbox: Sandbox) -> Any:
    """SQS, for boto3."""
    keys = {"aws_access_key_id": "another-team", "aws_secret_access_key": "secret"}
    return boto3.client("sqs", endpoint_url=sandbox.sqs_url, region_name="us-west-2", **keys)
