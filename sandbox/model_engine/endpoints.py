"""Creating, deleting and describing endpoints: what both contracts' gateways do alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from celery import Celery

from sandbox.client import ApiError, Client
from sandbox.model_engine import async_tasks, config, endpoint_objects, endpoint_queues
from sandbox.model_engine.endpoint_rules import InvalidRequest
from sandbox.model_engine.infra_cache import WRITER_TTL, InfraCache
from sandbox.model_engine.loggers import make_logger
from sandbox.model_engine.records import Records
from sandbox.model_engine.requests import CreateModelEndpointV1Request
from sandbox.model_engine.store import Row, Store

logger = make_logger("model_engine_server.infra.services.live_model_endpoint_service")


class DeleteFailed(Exception):
    """Kubernetes would not remove an object, or SQS a queue."""


@dataclass
class Endpoints:
    """The gateway's side of the deployment: database, queue, cache and cluster."""

    store: Store
    records: Records
    cache: InfraCache
    kubernetes: Client
    builds: Celery
    tasks: Celery  # of async endpoints

    async def create(self, owner: str, request: CreateModelEndpointV1Request, bundle: Row) -> str:
        """Write the row, enqueue the build; the Celery task's id. InvalidRequest for a name known to be in use."""
        if await self.records.list(owner, request.name, None):
            raise InvalidRequest("The specified model endpoint already exists.")
        record = await self.records.create(
            {
                "name": request.name,
                "created_by": owner,
                "owner": owner,
                "current_bundle_id": bundle["id"],
                "endpoint_metadata": request.metadata,
                "creation_task_id": "UNKNOWN",
                "endpoint_type": request.endpoint_type.value,
                "destination": "UNKNOWN",
                "endpoint_status": "UPDATE_PENDING",
                "public_inference": request.public_inference,
                "task_expires_seconds": request.task_expires_seconds,
                "queue_message_timeout_seconds": request.queue_message_timeout_seconds,
            }
        )
        asked = request.model_dump(mode="json", exclude={"name", "model_bundle_id", "endpoint_type", "metadata"})
        task = asked | {
            "record": {name: record[name] for name in ("id", "name", "created_by", "owner", "endpoint_type")},
            "bundle": {name: bundle[name] for name in ("id", "name", "flavor")},
            "aws_role": "default",
            "results_s3_bucket": config.infra_config()["s3_bucket"],
        }
        task_id = await async_tasks.send(self.builds, config.BUILD_ENDPOINT_TASK, [task], config.SERVICE_BUILDER_QUEUE)
        await self.records.update(record["id"], creation_task_id=task_id)
        return task_id

    async def delete(self, endpoint_id: str) -> None:
        """Remove its objects in Kubernetes and its queue, then the row; pods are not waited for."""
        await self.records.update(endpoint_id, endpoint_status="DELETE_IN_PROGRESS")
        try:
            await endpoint_objects.delete(self.kubernetes, endpoint_id)
            await endpoint_queues.delete(endpoint_id)
        except (ApiError, endpoint_queues.EndpointResourceInfraException) as error:
            logger.exception(f"Deletion of the resources of {endpoint_id} failed")
            reason = "Failed to delete the endpoint's infrastructure."
            await self.records.update(endpoint_id, endpoint_status="UPDATE_FAILED", status_reason=reason)
            raise DeleteFailed from error
        await self.records.delete(endpoint_id)

    async def infra_state(self, record: Row) -> dict[str, Any] | None:
        """What the cache says of its objects; on a miss what Kubernetes says, which is then cached."""
        state = await self.cache.read(record["id"])
        if state is None:
            name = endpoint_objects.legacy_name(record["owner"], record["name"])
            logger.warning(f"Cache miss, reading directly from k8s for {name}")
            state = await endpoint_objects.infra_state(self.kubernetes, record["id"])
            if state is not None:
                if record["endpoint_type"] == "async":
                    state["num_queued_items"] = await endpoint_queues.waiting(record["id"])
                await self.cache.write(record["id"], state, WRITER_TTL)
        return state
