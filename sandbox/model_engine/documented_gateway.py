"""The gateway of the documented contract: the smoke-test document's examples to the letter, on the same machinery."""

from __future__ import annotations

import json
from typing import Any

from fastapi import HTTPException, Request
from pydantic import Field

from sandbox.model_engine import async_tasks, documented_llms, endpoint_rules, sync_tasks
from sandbox.model_engine.application import application, serve
from sandbox.model_engine.authentication import Authenticated
from sandbox.model_engine.documented_status import interfaces, shown
from sandbox.model_engine.endpoints import DeleteFailed
from sandbox.model_engine.requests import (
    CreateModelEndpointV1Request,
    EndpointPredictV1Request,
    Flavor,
    SyncEndpointPredictV1Request,
)

app = application(openapi=False)
app.include_router(documented_llms.router)


class CreateEndpointRequest(CreateModelEndpointV1Request):
    """The bundle comes with the endpoint."""

    model_bundle_id: str = Field(default="", exclude=True)
    model_bundle: Flavor


@app.post("/v1/model-endpoints")
async def create(body: CreateEndpointRequest, auth: Authenticated, request: Request) -> dict[str, str]:
    endpoints, flavor = interfaces(request), body.model_bundle.model_dump(mode="json")
    try:
        endpoint_rules.check_request(body)
        endpoint_rules.check_with_bundle(body, flavor)
        if await endpoints.store.endpoints(owner=auth.team_id, name=body.name):
            raise endpoint_rules.InvalidRequest("The specified model endpoint already exists.")
        bundle_id = await endpoints.store.create_bundle(
            owner=auth.team_id, name=body.name, schema_location="TBA", metadata={}, flavor=flavor
        )
        (bundle,) = await endpoints.store.bundles(id=bundle_id)
        return {"endpoint_creation_task_id": await endpoints.create(auth.team_id, body, bundle)}
    except endpoint_rules.InvalidRequest as error:
        raise HTTPException(400, str(error)) from error


@app.get("/v1/model-endpoints")
async def list_endpoints(
    auth: Authenticated, request: Request, name: str | None = None
) -> dict[str, list[dict[str, Any]]]:
    endpoints = interfaces(request)
    rows = await endpoints.store.endpoints(owner=auth.team_id, name=name)
    return {"model_endpoints": [await shown(endpoints, row) for row in rows]}


@app.delete("/v1/model-endpoints/{endpoint_id}")
async def delete(endpoint_id: str, auth: Authenticated, request: Request) -> dict[str, bool]:
    endpoints = interfaces(request)
    if not await endpoints.store.endpoints(id=endpoint_id, owner=auth.team_id):
        raise HTTPException(404, f"Model endpoint {endpoint_id} was not found.")
    try:
        await endpoints.delete(endpoint_id)
    except DeleteFailed as error:
        raise HTTPException(500, "deletion of endpoint failed, compute resources still exist.") from error
    return {"deleted": True}


@app.post("/v1/sync-tasks")
async def sync_task(
    model_endpoint_id: str, task: SyncEndpointPredictV1Request, auth: Authenticated, request: Request
) -> dict[str, Any]:
    rows = await interfaces(request).store.endpoints(id=model_endpoint_id, owner=auth.team_id)
    if not rows:
        raise HTTPException(404, "The specified endpoint could not be found.")
    try:
        answer = await sync_tasks.predict(rows[0]["destination"], task)
    except endpoint_rules.InvalidRequest as error:
        raise HTTPException(400, f"Invalid request: {error}") from error
    # The forwarder wraps the worker's answer, as a string; the document shows the answer itself.
    result = json.loads(answer.result["result"]) if answer.status == "SUCCESS" else None
    return {**answer.model_dump(), "result": result}


@app.post("/v1/async-tasks")
async def create_async_task(
    model_endpoint_id: str, task: EndpointPredictV1Request, auth: Authenticated, request: Request
) -> dict[str, str]:
    endpoints = interfaces(request)
    rows = await endpoints.store.endpoints(id=model_endpoint_id, owner=auth.team_id)
    if not rows:
        raise HTTPException(404, "The specified endpoint could not be found.")
    if rows[0]["endpoint_type"] != "async":
        raise HTTPException(400, f"Endpoint {model_endpoint_id} is not an async endpoint.")
    try:
        return await async_tasks.create(endpoints.tasks, rows[0], task)
    except endpoint_rules.InvalidRequest as error:
        raise HTTPException(400, f"Invalid request: {error}") from error


@app.get("/v1/async-tasks/{task_id}")
async def get_async_task(task_id: str, auth: Authenticated, request: Request) -> dict[str, Any]:
    answer = await async_tasks.get(interfaces(request).tasks, task_id)
    # As with sync tasks: the worker's answer itself.
    result = json.loads(answer["result"]["result"]) if answer["status"] == "SUCCESS" else answer["result"]
    return {**answer, "result": result}


if __name__ == "__main__":
    serve(app)
