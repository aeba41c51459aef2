"""Celery on SQS, as builder and gateway are configured for AWS."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

from sandbox.model_engine import config

SOFT_LIMIT, HARD_LIMIT = 1500, 1800  # seconds that one build may take
VISIBILITY_TIMEOUT = 43200  # seconds


def celery_app() -> Celery:
    """Broker SQS, results in S3; botocore finds both through ``AWS_ENDPOINT_URL_SQS`` and ``AWS_ENDPOINT_URL_S3``."""
    app = Celery("model_engine_server.service_builder", broker="sqs://", backend="s3://")
    region = os.environ.get("AWS_REGION", "us-west-2")
    app.conf.update(
        broker_transport_options={"region": region, "visibility_timeout": VISIBILITY_TIMEOUT, "polling_interval": 5},
        broker_connection_retry_on_startup=True,
        s3_bucket=config.infra_config()["s3_bucket"],
        s3_base_path="tmp/celery/",
        s3_region=region,
        task_default_queue=config.SERVICE_BUILDER_QUEUE,
        task_time_limit=HARD_LIMIT,
        task_soft_time_limit=SOFT_LIMIT,
        worker_enable_remote_control=False,  # SQS has no fan-out
        worker_prefetch_multiplier=1,
    )
    return app


def send_build(app: Celery, task: dict[str, Any]) -> str:
    """Enqueue a build, return the Celery task's id. kombu.exceptions.OperationalError when SQS cannot be reached."""
    return str(app.send_task(config.BUILD_ENDPOINT_TASK, args=[task], queue=config.SERVICE_BUILDER_QUEUE).id)
