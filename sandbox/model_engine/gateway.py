"""The gateway of the released contract: ``python -m model_engine_server.entrypoints.start_fastapi_server``."""

from __future__ import annotations

from typing import Any

from fastapi import HTTPException
from fastapi.responses import StreamingResponse

from sandbox.model_engine import async_tasks, endpoint_rules, llms, sse, streaming_tasks, sync_tasks
from sandbox.model_engine.application import application, serve
from sandbox.model_engine.authentication import Authenticated
from sandbox.model_engine.endpoints import DeleteFailed, Endpoints
from sandbox.model_engine.interfaces import Interfaces
from sandbox.model_engine.loggers import make_logger
from sandbox.model_engine.requests import (
    CreateModelBundleV2Request,
    CreateModelEndpointV1Request,
    EndpointPredictV1Request,
    ModelEndpointOrderBy,
    SyncEndpointPredictV1Request,
    SyncEndpointPredictV1Response,
)
from sandbox.model_engine.responses import bundle_response, endpoint_response
from sandbox.model_engine.store import Row

bundles_logger = make_logger("model_engine_server.api.model_bundles_v2")
endpoints_logger = make_logger("model_engine_server.api.model_endpoints_v1")
tasks_logger = make_logger("model_engine_server.api.tasks_v1")

app = application(openapi=True)
app.include_router(llms.router)


@app.post("/v2/model-bundles")
async def create_model_bundle(
    request: CreateModelBundleV2Request, auth: Authenticated, endpoints: Interfaces
) -> dict[str, str]:
    bundles_logger.info(f"POST /model-bundles with {request} for {auth}")
    flavor = request.flavor.model_dump(mode="json")
    if flavor["flavor"].endswith("_artifact") or flavor["flavor"].startswith("triton"):
        raise NotImplementedError(f"POST /v2/model-bundles of flavor {flavor['flavor']}")
    bundle_id = await endpoints.store.create_bundle(
        owner=auth.team_id,
        name=request.name,
        schema_location=request.schema_location,
        metadata=request.metadata or {},
        flavor=flavor,
    )
    return {"model_bundle_id": bundle_id}


@app.get("/v2/model-bundles")
async def list_model_bundles(
    auth: Authenticated, endpoints: Interfaces, model_name: str | None = None
) -> dict[str, list[Row]]:
    bundles_logger.info(f"GET /model-bundles?model_name={model_name}&order_by=None for {auth}")
    rows = await endpoints.store.bundles(owner=auth.team_id, name=model_name)
    return {"model_bundles": [bundle_response(row) for row in rows]}


@app.get("/v2/model-bundles/latest")
async def get_latest_model_bundle(model_name: str, auth: Authenticated, endpoints: Interfaces) -> Row:
    bundles_logger.info(f"GET /model-bundles/latest?model_name={model_name} for {auth}")
    rows = await endpoints.store.bundles(owner=auth.team_id, name=model_name)
    if not rows:
        raise HTTPException(404, f"Model Bundle {model_name} was not found.")
    return bundle_response(rows[-1])


@app.get("/v2/model-bundles/{model_bundle_id}")
async def get_model_bundle(model_bundle_id: str, auth: Authenticated, endpoints: Interfaces) -> Row:
    bundles_logger.info(f"GET /model-bundles/{model_bundle_id} for {auth}")
    rows = await endpoints.store.bundles(id=model_bundle_id, owner=auth.team_id)
    if not rows:
        raise HTTPException(404, f"Model Bundle {model_bundle_id}  was not found.")
    return bundle_response(rows[0])


@app.post("/v1/model-endpoints")
async def create_model_endpoint(
    request: CreateModelEndpointV1Request, auth: Authenticated, endpoints: Interfaces
) -> dict[str, str]:
    endpoints_logger.info(f"POST /model-endpoints with {request} for {auth}")
    try:
        endpoint_rules.check_request(request)
        rows = await endpoints.store.bundles(id=request.model_bundle_id, owner=auth.team_id)
        if not rows:
            raise HTTPException(404, "The specified model bundle could not be found.")
        endpoint_rules.check_with_bundle(request, rows[0]["flavor"])
        task_id = await endpoints.create(auth.team_id, request, rows[0])
    except endpoint_rules.InvalidRequest as error:
        raise HTTPException(400, str(error)) from error
    return {"endpoint_creation_task_id": task_id}


@app.get("/v1/model-endpoints")
async def list_model_endpoints(
    auth: Authenticated,
    endpoints: Interfaces,
    name: str | None = None,
    order_by: ModelEndpointOrderBy | None = None,
) -> dict[str, list[Row]]:
    endpoints_logger.info(f"GET /model-endpoints?name={name}&order_by={order_by} for {auth}")
    rows = await endpoints.records.list(auth.team_id, name, order_by)
    return {"model_endpoints": [endpoint_response(row, await endpoints.infra_state(row)) for row in rows]}


@app.get("/v1/model-endpoints/{model_endpoint_id}")
async def get_model_endpoint(model_endpoint_id: str, auth: Authenticated, endpoints: Interfaces) -> Row:
    endpoints_logger.info(f"GET /model-endpoints/{model_endpoint_id} for {auth}")
    row = await owned(endpoints, model_endpoint_id, auth)
    return endpoint_response(row, await endpoints.infra_state(row))


@app.delete("/v1/model-endpoints/{model_endpoint_id}")
async def delete_model_endpoint(model_endpoint_id: str, auth: Authenticated, endpoints: Interfaces) -> dict[str, bool]:
    endpoints_logger.info(f"DELETE /model-endpoints/{model_endpoint_id} for {auth}")
    await owned(endpoints, model_endpoint_id, auth)
    try:
        await endpoints.delete(model_endpoint_id)
    except DeleteFailed as error:
        raise HTTPException(500, "deletion of endpoint failed, compute resources still exist.") from error
    return {"deleted": True}


@app.post("/v1/async-tasks")
async def create_async_inference_task(
    model_endpoint_id: str, request: EndpointPredictV1Request, auth: Authenticated, endpoints: Interfaces
) -> dict[str, str]:
    tasks_logger.info(f"POST /async-tasks {request} to {model_endpoint_id} for {auth}")
    row = await asked(endpoints, model_endpoint_id, auth)
    if row["endpoint_type"] != "async":
        raise unsupported(model_endpoint_id, "is not an async endpoint")
    try:
        return await async_tasks.create(endpoints.tasks, row, request)
    except endpoint_rules.InvalidRequest as error:
        raise HTTPException(400, f"Invalid request: {error}") from error


@app.get("/v1/async-tasks/{task_id}")
async def get_async_inference_task(task_id: str, auth: Authenticated, endpoints: Interfaces) -> dict[str, Any]:
    tasks_logger.info(f"GET /async-tasks/{task_id} for {auth}")
    return await async_tasks.get(endpoints.tasks, task_id)


@app.post("/v1/sync-tasks")
async def create_sync_inference_task(
    model_endpoint_id: str, request: SyncEndpointPredictV1Request, auth: Authenticated, endpoints: Interfaces
) -> SyncEndpointPredictV1Response:
    tasks_logger.info(f"POST /sync-tasks {request} to {model_endpoint_id} for {auth}")
    row = await asked(endpoints, model_endpoint_id, auth)
    if row["endpoint_type"] == "async":
        raise unsupported(model_endpoint_id, "does not serve sync tasks")
    try:
        return await sync_tasks.predict(row["destination"], request)
    except endpoint_rules.InvalidRequest as error:
        raise HTTPException(400, f"Invalid request: {error}") from error


@app.post("/v1/streaming-tasks")
async def create_streaming_inference_task(
    model_endpoint_id: str, request: SyncEndpointPredictV1Request, auth: Authenticated, endpoints: Interfaces
) -> StreamingResponse:
    tasks_logger.info(f"POST /streaming-tasks {request} to {model_endpoint_id} for {auth}")
    row = await asked(endpoints, model_endpoint_id, auth)
    if row["endpoint_type"] != "streaming":
        raise unsupported(model_endpoint_id, "is not a streaming endpoint")
    events = streaming_tasks.predict(row["destination"], request)
    return StreamingResponse(events, headers=sse.HEADERS, media_type=sse.CONTENT_TYPE)


async def asked(endpoints: Endpoints, endpoint_id: str, auth: Authenticated) -> Row:
    """The endpoint that a task is for; HTTP 404 for another owner's, too."""
    row = await endpoints.records.get(endpoint_id, auth.team_id)
    if row is None:
        raise HTTPException(404, "The specified endpoint could not be found.")
    await endpoints.infra_state(row)
    return row


def unsupported(endpoint_id: str, why: str) -> HTTPException:
    """HTTP 400 for a task of another type than the endpoint's."""
    return HTTPException(400, f"Unsupported inference type: Endpoint {endpoint_id} {why}.")


async def owned(endpoints: Endpoints, endpoint_id: str, auth: Authenticated) -> Row:
    """The user's endpoint; HTTP 404 for another owner's, too."""
    row = await endpoints.records.get(endpoint_id, auth.team_id)
    if row is None:
        raise HTTPException(404, f"Model Endpoint {endpoint_id}  was not found.")
    return row


if __name__ == "__main__":
    serve(app)
