"""Bundles and endpoints as the released API shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.model_engine.llm_requests import LLM
from sandbox.model_engine.store import Row, timestamp

FROM_POSTGRESQL = (
    *("id", "name", "endpoint_type", "destination", "bundle_name", "status_reason", "created_by"),
    *("public_inference", "task_expires_seconds", "queue_message_timeout_seconds"),
)
FROM_KUBERNETES = (
    *("deployment_name", "labels", "aws_role", "results_s3_bucket", "deployment_state", "resource_state"),
    "num_queued_items",
)
OF_A_MODEL = (
    *("model_name", "source", "inference_framework", "inference_framework_image_tag", "num_shards", "quantize"),
    *("checkpoint_path", "chat_template_override"),
)


def bundle_response(row: Row) -> Row:
    """A bundle as the API shows it."""
    shown = {name: row[name] for name in ("id", "name", "model_artifact_ids", "schema_location", "flavor")}
    return {**shown, "metadata": row["bundle_metadata"], "created_at": timestamp(row["created_at"])}


def endpoint_response(row: Row, state: Mapping[str, Any] | None) -> Row:
    """An endpoint as the API shows it: `row` from PostgreSQL, `state` of its objects, None before they are built."""
    known: Mapping[str, Any] = state or {}
    settings = known["user_config_state"]["endpoint_config"] if state else {"post_inference_hooks": []}
    return {
        **{name: row[name] for name in FROM_POSTGRESQL},
        **{name: known.get(name) for name in FROM_KUBERNETES},
        "metadata": row["endpoint_metadata"],
        "status": row["endpoint_status"],
        "created_at": timestamp(row["created_at"]),
        "last_updated_at": timestamp(row["last_updated_at"]),
        "post_inference_hooks": settings["post_inference_hooks"],
        "default_callback_url": settings.get("default_callback_url"),
        "default_callback_auth": settings.get("default_callback_auth"),
    }


def llm_endpoint_response(row: Row, state: Mapping[str, Any] | None) -> Row:
    """An LLM endpoint as its own routes show it; in `spec` as the others do."""
    spec = endpoint_response(row, state)
    own = ("id", "name", "status", "task_expires_seconds", "queue_message_timeout_seconds")
    model = row["endpoint_metadata"][LLM]
    return {**{name: spec[name] for name in own}, **{name: model[name] for name in OF_A_MODEL}, "spec": spec}
