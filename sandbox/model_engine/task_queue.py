"""Celery as the product's programs configure it: which broker, which database of Redis, where results go.

Each choice is made where the product makes it, the wrong ones too: see `inference_broker`.
"""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from celery import Celery
from celery.app import backends

from sandbox.model_engine import config

SOFT_LIMIT, HARD_LIMIT = 1500, 1800  # seconds that one build may take
SQS_VISIBILITY = 43200  # seconds
PREDICT_TASK = "hosted_model_inference.lira.predict"

KEEP_ALIVE = "30"  # seconds between two signs of life for Service Bus, where the environment names no other

backends.BACKEND_ALIASES["s3"] = "sandbox.model_engine.s3_backend:S3Backend"
backends.BACKEND_ALIASES["azureblockblob"] = "sandbox.model_engine.azure:BlobBackend"


class Broker(StrEnum):
    """Of Redis it is the database that counts: tasks of one day's visibility are not seen by who looks at an hour's."""

    REDIS = "redis"
    REDIS_24H = "redis_24h"
    SQS = "sqs"
    SERVICE_BUS = "servicebus"


# Database, visibility timeout in seconds.
DATABASES = {
    Broker.REDIS: (config.ONE_HOUR_DATABASE, 3600),
    Broker.REDIS_24H: (config.ONE_DAY_DATABASE, 86400),
}


def celery_app(broker: Broker, results: str, *, name: str | None = None, queue_url: str = "") -> Celery:
    """An app that sends or works. `results`: ``s3``, ``redis`` or ``abs``. botocore finds SQS and S3 through
    ``AWS_ENDPOINT_URL_SQS`` and ``AWS_ENDPOINT_URL_S3``. `queue_url`: the only queue of an SQS worker."""
    region = os.environ.get("AWS_REGION", "us-west-2")
    if broker is Broker.SQS:
        url = "sqs://"
        options: dict[str, Any] = {"region": region, "visibility_timeout": SQS_VISIBILITY, "polling_interval": 5}
        if queue_url:
            options["predefined_queues"] = {urlsplit(queue_url).path.rpartition("/")[2]: {"url": queue_url}}
    elif broker is Broker.SERVICE_BUS:
        url, options = service_bus()
    else:
        speak_resp2()
        database, timeout = DATABASES[broker]
        url, options = config.broker_redis_url(database), {"visibility_timeout": timeout}
    backend = {"redis": config.broker_redis_url(config.RESULTS_DATABASE), "abs": "azureblockblob://sandbox"}.get(
        results, "s3://"
    )
    app = Celery(name, broker=url, backend=backend)
    if limit := os.environ.get("CELERY_BROKER_POOL_LIMIT"):
        app.conf.broker_pool_limit = int(limit)
    app.conf.update(
        broker_transport_options=options,
        broker_connection_retry_on_startup=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_enable_remote_control=False,
        worker_prefetch_multiplier=1,
        s3_bucket=config.infra_config()["s3_bucket"],
        s3_base_path="tmp/celery/",
        s3_region=region,
        s3_boto3_session=config.aws_session(),
    )
    return app


def service_bus() -> tuple[str, dict[str, Any]]:
    """Address and options of Celery's transport, which logs in with the environment's credential."""
    from sandbox.model_engine import azure

    keep_alive = int(os.environ.get("SERVICEBUS_KEEP_ALIVE_INTERVAL", KEEP_ALIVE))
    options = {"uamqp_keep_alive_interval": keep_alive, "retry_total": 3, "retry_backoff_factor": 0.8}
    if config.unfixed():
        options |= {"uamqp_keep_alive_interval": 0, "retry_total": 0}
    return f"azureservicebus://DefaultAzureCredential@{azure.service_bus()}", options


def speak_resp2() -> None:
    """Have Celery's clients of Redis send no HELLO, as the product's older ones: error texts depend on it."""
    from kombu.transport import redis

    class Channel(redis.Channel):  # type: ignore[misc]
        def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
            return {**super()._connparams(asynchronous), "protocol": 2}

    redis.Transport.Channel = Channel


def builder_app() -> Celery:
    """The service builder's."""
    redis = config.infra_config().get("celery_broker_type_redis") or config.cloud() == "gcp"
    other = Broker.SERVICE_BUS if config.cloud() == "azure" else Broker.SQS
    app = celery_app(Broker.REDIS if redis else other, results_backend(), name="model_engine_server.service_builder")
    app.conf.update(
        task_default_queue=config.SERVICE_BUILDER_QUEUE, task_time_limit=HARD_LIMIT, task_soft_time_limit=SOFT_LIMIT
    )
    return app


def infra_broker() -> Broker:
    """Where the gateway sends builds."""
    if config.cloud() in ("onprem", "gcp") or config.infra_config().get("celery_broker_type_redis"):
        return Broker.REDIS
    return Broker.SERVICE_BUS if config.cloud() == "azure" else Broker.SQS


def inference_broker() -> Broker:
    """Where the gateway sends async tasks.

    The forwarders take theirs from the database of a day. The released gateway thinks of that on-prem only: on GCP, and
    on AWS with Redis, its tasks wait in another database for ever.
    """
    broker = infra_broker()
    if broker is Broker.REDIS and (config.cloud() == "onprem" or config.patched()):
        return Broker.REDIS_24H
    return broker


def results_backend() -> str:
    """Where builder and gateway keep and look for results."""
    return {"gcp": "redis", "azure": "abs"}.get(config.cloud(), "s3")


def send(app: Celery, task: str, arguments: list[Any], queue: str, expires: int | None = None) -> str:
    """Enqueue, return the task's id. kombu.exceptions.OperationalError, botocore's errors."""
    return str(app.send_task(task, args=arguments, queue=queue, expires=expires).id)
