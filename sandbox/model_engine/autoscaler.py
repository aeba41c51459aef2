"""The Celery autoscaler: every 3 s it gives each async endpoint as many workers as its queue asks for."""

from __future__ import annotations

import asyncio
import math
import os
import time
import zlib
from dataclasses import dataclass
from typing import Any

from sandbox import clock
from sandbox.client import Client
from sandbox.model_engine import config, endpoint_objects, endpoint_queues
from sandbox.model_engine.loggers import make_logger

PERIOD = 3.0  # seconds
COOL_DOWN = 600.0  # seconds that a queue's length counts, so that nobody goes at the first lull
SAMPLES = 10  # SQS tells lengths approximately
REDIS_BROKER = "redis-elasticache-message-broker-master"
SERVICE_BUS_BROKER = "servicebus-message-broker-master"

logger = make_logger("model_engine_server.core.celery.celery_autoscaler")


@dataclass(frozen=True)
class Instance:
    """What an async endpoint's Deployment says of its scaling."""

    name: str
    replicas: int
    queue: str
    least: int
    most: int
    per_worker: int


class Autoscaler:
    """Some of the endpoints' Deployments: with several shards each has its part."""

    def __init__(self, kubernetes: Client, broker: str, shard: int, shards: int) -> None:
        """`broker`: which of the brokers it looks after, by the Deployments' annotation."""
        self._kubernetes, self._broker, self._shard, self._shards = kubernetes, broker, shard, shards
        self._history: dict[str, list[tuple[float, int]]] = {}
        namespace = config.service_config()["endpoint_namespace"]
        self._deployments = endpoint_objects.COLLECTIONS["deployment"].format(namespace=namespace)

    async def iterate(self) -> None:
        """Look once at everything."""
        begun = time.monotonic()
        instances = [
            instance_of(deployment)
            for deployment in await self._kubernetes.list(self._deployments)
            if self._is_mine(deployment)
        ]
        logger.info(f"list_deployments took {time.monotonic() - begun} seconds")
        for instance in instances:
            length = await queue_length(self._broker, instance.queue)
            logger.info(f"Inflight : {instance.queue} : {length}")
            await self._scale(instance, length)

    def _is_mine(self, deployment: dict[str, Any]) -> bool:
        meta = deployment["metadata"]
        broker = meta.get("annotations", {}).get(f"{endpoint_objects.AUTOSCALER}broker")
        return broker == self._broker and zlib.crc32(meta["name"].encode()) % self._shards == self._shard

    async def _scale(self, instance: Instance, length: int) -> None:
        now = time.monotonic()
        wanted = math.ceil(length / instance.per_worker)
        history = [*self._history.get(instance.name, []), (now, wanted)]
        self._history[instance.name] = [one for one in history if one[0] > now - clock.scaled(COOL_DOWN)]
        peak = max(wanted for _, wanted in self._history[instance.name])
        workers = max(instance.least, min(instance.most, peak))
        if workers != instance.replicas:
            await self._kubernetes.patch(f"{self._deployments}/{instance.name}", {"spec": {"replicas": workers}})
            logger.info(f"{instance.name} Deployment updated. replicas={workers}")


def instance_of(deployment: dict[str, Any]) -> Instance:
    """KeyError, ValueError for annotations that the builder would not have written."""
    meta = deployment["metadata"]
    scaling = endpoint_objects.scaling(deployment, None)
    return Instance(
        name=meta["name"],
        replicas=deployment["spec"]["replicas"],
        queue=meta["annotations"][f"{endpoint_objects.AUTOSCALER}queue"],
        least=scaling["min_workers"],
        most=scaling["max_workers"],
        per_worker=scaling["per_worker"],
    )


async def queue_length(broker: str, queue: str) -> int:
    """Tasks that wait, with SQS and Service Bus also those underway; 0 where they do not say."""
    if broker == REDIS_BROKER:
        import redis.asyncio

        async with redis.asyncio.Redis.from_url(config.broker_redis_url(config.ONE_DAY_DATABASE)) as client:
            return int(await client.llen(queue))
    return await asyncio.to_thread(service_bus_length if broker == SERVICE_BUS_BROKER else sqs_length, queue)


def sqs_length(queue: str) -> int:
    """Waiting and underway, at least; 0 for a queue that is not there, or not ours to see."""
    sqs = endpoint_queues.sqs()
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    begun = time.monotonic()
    try:
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        samples = [sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"] for _ in range(SAMPLES)]
    except sqs.exceptions.QueueDoesNotExist as error:
        logger.info(f"Queue does not exist {queue}: {error}")
        return 0
    except Exception as error:
        logger.error(f"Failed to get queue attributes {queue}: {error}")
        return 0
    size, reserved = (max(int(sample[name]) for sample in samples) for name in names)
    took = time.monotonic() - begun
    logger.info(f"SQS {queue} total: {took} seconds, queue size {size}, reserved size {reserved}")
    return size + reserved


def service_bus_length(queue: str) -> int:
    """Waiting and underway; 0 for a queue that is not there, or not ours to see."""
    from azure.core.exceptions import ResourceNotFoundError

    from sandbox.model_engine import azure

    try:
        return int(azure.queues().get_queue_runtime_properties(queue).active_message_count)
    except ResourceNotFoundError as error:
        logger.info(f"Queue does not exist {queue}: {error}")
        return 0


async def main() -> None:
    """Iterate for ever, whatever happens."""
    shard, shards = int(os.environ["POD_NAME"].rpartition("-")[2]), int(os.environ["NUM_SHARDS"])
    async with Client.in_cluster() as kubernetes:
        autoscaler = Autoscaler(kubernetes, os.environ["BROKER_NAME"], shard, shards)
        while True:
            begun = time.monotonic()
            try:
                await autoscaler.iterate()
                logger.info(f"Iteration length: {time.monotonic() - begun} seconds.")
            except Exception as error:
                logger.exception(f"Error in deployment loop: {error}")
            await asyncio.sleep(max(0.0, clock.scaled(PERIOD) - (time.monotonic() - begun)))


if __name__ == "__main__":
    asyncio.run(main())
