"""The service builder, a Celery worker: ``celery --app=model_engine_server.service_builder worker …``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from typing import Any

from celery.signals import after_setup_logger, after_setup_task_logger, worker_process_init

from sandbox.client import ApiError, Client
from sandbox.model_engine import config, endpoint_objects, endpoint_queues, loggers, task_queue
from sandbox.model_engine.endpoint_queues import EndpointResourceInfraException
from sandbox.model_engine.infra_cache import WRITER_TTL, InfraCache
from sandbox.model_engine.loggers import JsonFormatter, make_logger
from sandbox.model_engine.store import Store

RESTRICTED_ENV = (
    *("DD_ENV", "DD_SERVICE", "DD_VERSION", "DD_TRACE_ENABLED", "DD_AGENT_HOST", "OMP_THREAD_LIMIT", "AWS_PROFILE"),
    *("CELERY_ELASTICACHE_ENABLED", "CELERY_QUEUE", "CELERY_TASK_VISIBILITY", "S3_BUCKET"),
    *("TEMPORAL_TASK_QUEUE", "HTTP_PORT"),
)

LONGEST_REASON = 500  # characters

logger = make_logger("model_engine_server.infra.services.live_endpoint_builder_service")
task_logger = make_logger("model_engine_server.service_builder.tasks_v1")
delegate_logger = make_logger("model_engine_server.infra.gateways.resources.k8s_endpoint_resource_delegate")

app = task_queue.builder_app()
loggers.log_start()


@after_setup_logger.connect  # type: ignore[untyped-decorator]
@after_setup_task_logger.connect  # type: ignore[untyped-decorator]
def format_as_json(logger: logging.Logger, **_: Any) -> None:
    """Celery's own lines in the product's format."""
    for handler in logger.handlers:
        handler.setFormatter(JsonFormatter())


@worker_process_init.connect  # type: ignore[untyped-decorator]
def init_worker(**_: Any) -> None:
    """Ready as soon as a worker process lives: before anybody has reached the broker."""
    config.write_readyz()


@app.task(name=config.BUILD_ENDPOINT_TASK)  # type: ignore[untyped-decorator]
def build_endpoint(task: dict[str, Any]) -> dict[str, str]:
    """Build one endpoint. `task`: see `endpoints.Endpoints.create`."""
    task_logger.info("Starting endpoint build process")
    try:
        asyncio.run(_build(task))
    except Exception as error:
        extra = {
            "endpoint_name": task["record"]["name"],
            "error_type": type(error).__name__,
            "error_message": str(error),
        }
        task_logger.error("Endpoint build failed with exception", extra=extra)
        raise
    return {"status": "OK"}


async def _build(task: dict[str, Any]) -> None:
    record, flavor = task["record"], task["bundle"]["flavor"]
    logger.info(f"Building service for endpoint_name: {record['name']}")
    # Outside of what is caught below: such an endpoint stays UPDATE_PENDING for ever.
    if forbidden := [name for name in flavor["env"] or {} if name in RESTRICTED_ENV]:
        names = ", ".join(forbidden)
        raise ValueError(f"Runnable image endpoints cannot set the following env vars: {names}")
    logger.info(f"Acquiring lock on endpoint {record['id']}")
    store = Store()
    try:
        await store.update_endpoint(record["id"], endpoint_status="UPDATE_IN_PROGRESS")
        is_async = record["endpoint_type"] == "async"
        queue_url = await endpoint_queues.create(task) if is_async else ""
        await _create_objects(task, queue_url)
        name = endpoint_queues.queue_name if is_async else endpoint_objects.resource_name
        destination = name(record["id"])
        await store.update_endpoint(record["id"], endpoint_status="READY", destination=destination)
    except Exception as error:
        logger.exception("Failed endpoint build process!")
        told = str(error) if isinstance(error, EndpointResourceInfraException) else ""
        reason = told[:LONGEST_REASON] or "Endpoint deployment failed due to an internal error."
        await store.update_endpoint(record["id"], endpoint_status="UPDATE_FAILED", status_reason=reason)
        raise
    finally:
        logger.info(f"Releasing lock on endpoint {record['name']}, user {record['owner']}")


async def _create_objects(task: dict[str, Any], queue_url: str) -> None:
    record, flavor = task["record"], task["bundle"]["flavor"]
    # Never closed, as in the product: a healthy build logs `Unclosed client session` as an error.
    client = await Client.in_cluster().__aenter__()
    try:
        image = f"{config.full_repository(flavor['repository'])}:{flavor['tag']}"
        for path, obj in endpoint_objects.render(task, image, os.environ["GIT_TAG"], queue_url):
            await endpoint_objects.apply(client, path, obj)
    except ApiError as error:
        logger.exception("K8s resource update failed")
        raise EndpointResourceInfraException from error
    resource = endpoint_objects.resource_name(record["id"])
    delegate_logger.warning(f"Trying to delete nonexistent ScaledObject {resource}")
    state = await endpoint_objects.infra_state(client, record["id"])
    assert state is not None, "created above"
    if record["endpoint_type"] == "async":
        state["num_queued_items"] = await endpoint_queues.waiting(record["id"])
    name = endpoint_objects.legacy_name(record["owner"], record["name"])
    logger.info(f"Created endpoint_id={record['id']!r}: deployment_name={name} endpoint_name={record['name']}")
    cache = InfraCache(config.cache_redis_url(), health_check=False)
    async with contextlib.aclosing(cache):
        await cache.write(record["id"], state, WRITER_TTL)
