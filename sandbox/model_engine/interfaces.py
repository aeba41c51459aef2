"""What every route of the released gateway is given: the application's clients."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from sandbox.model_engine import loggers
from sandbox.model_engine.endpoints import Endpoints
from sandbox.model_engine.loggers import make_logger

queue_logger = make_logger("model_engine_server.infra.gateways.celery_task_queue_gateway")


async def external_interfaces(request: Request) -> Endpoints:
    """The product makes its clients anew for every request, and says so."""
    for broker in loggers.BROKERS:
        queue_logger.info(f"Initializing CeleryTaskQueueGateway with broker: {broker}")
    endpoints: Endpoints = request.app.state.endpoints
    return endpoints


Interfaces = Annotated[Endpoints, Depends(external_interfaces)]
