"""Of the gateway, and of what it answers."""

from rows.row import (
    ACCEPTED,
    BEYOND_ACCEPTED,
    DELETED,
    LIFECYCLES,
    NEED_SERVING,
    NOTHING_LEFT,
    SERVES,
    TIER_A,
    Row,
    each,
)

DELETES = ("-m", "tier_a", "-k", "is_deleted or is_left")

CREATE_500 = """
FAIL      tier_a/sync_endpoint_is_accepted  …
FAIL      tier_a/async_endpoint_is_accepted  …
FAIL      tier_a/streaming_endpoint_is_accepted  …
  cause     POST …/v1/model-endpoints answered 500, not 200: {"error": "Internal error occurred. …"}  (certain)
  look      kubectl --context … -n model-engine logs deployment/model-engine --tail 200
  do        a 500 here is the broker or the database; the gateway's log names it; then: pytest --lf
BLOCKED   15 checks by it:
          tier_a (15): sync_endpoint_serves, """
"""Three creates, one answer: it is told once."""

ROWS = [
    Row(
        ("gateway-open",),
        {"no_credentials_no_entry": "/v1/model-endpoints answered 200, not 401"},
        select=("-m", "control_plane"),
    ),
    Row(
        ("gateway-down",),
        each(("gateway_runs", "gateway_hpa_can_scale", "healthz"), "the Deployment model-engine is scaled to 0"),
        blocks=(
            *("endpoints_are_listed", "no_credentials_no_entry", "task_without_endpoint_is_refused"),
            *("unknown_async_task_never_succeeds", *LIFECYCLES),
        ),
        sign="ScaledToZero",
        select=("-k", "gateway_runs or hpa or healthz or endpoints_are_listed"),
        long_proof=True,
    ),
    Row(
        ("list-not-a-list",),
        each(("endpoints_are_listed", *SERVES, *DELETED), "the gateway answers no list of model_endpoints"),
        blocks=(*NEED_SERVING, *NOTHING_LEFT),
        left=True,
        select=("-m", "control_plane"),
        long_proof=True,
    ),
    Row(
        ("create-500",),
        each(ACCEPTED, "/v1/model-endpoints answered 500, not 200"),
        blocks=BEYOND_ACCEPTED,
        select=TIER_A,
        told=CREATE_500,
    ),
    Row(
        ("someone-elses-task",),
        {
            "sync_task_echoes": "someone-else",
            "failing_task_fails": "'SUCCESS' == 'FAILURE'",
            "streaming_task_echoes": "someone-else",
            "async_task_succeeds": "someone-else",
            "failing_async_task_is_told": "the worker answered 500, and the gateway tells of a success",
        },
        long_proof=True,
    ),
    Row(
        ("success-to-everything",),
        {
            "task_without_endpoint_is_refused": "answered 200",
            "failing_task_fails": "'SUCCESS' == 'FAILURE'",
            "async_task_succeeds": "assert {} == {'nonce': ",
            "failing_async_task_is_told": "the worker answered 500, and the gateway tells of a success",
            "unknown_async_task_never_succeeds": "answered 200",
        },
        select=("-k", "without_endpoint or unknown_async"),
        long_proof=True,
    ),
    Row(
        ("sync-failure-with-200",),
        {"sync_task_echoes": "answered HTTP 200, and the task's status is FAILURE"},
        long_proof=True,
    ),
    Row(
        ("async-success-with-500",),
        {"async_task_succeeds": "the task's status is SUCCESS with status_code 500"},
        long_proof=True,
    ),
    Row(
        ("async-never-done",),
        {"async_task_succeeds": "a worker has taken 1 from its queue, and does not finish"},
        given=("--set", "async_task_timeout=50"),
        at_timeout=True,
        blocks=("failing_async_task_is_told",),
        long_proof=True,
    ),
    Row(("streaming-answers-nothing",), {"streaming_task_echoes": "a stream without an event"}, long_proof=True),
    Row(
        ("delete-leaves-queue",),
        {NOTHING_LEFT[1]: "the queue launch-endpoint-id-end_"},
        at_timeout=True,  # SQS itself may take a minute to forget one
        long_proof=True,
    ),
    Row(
        ("delete-not-performed",),
        each(DELETED, "the gateway answered the delete of"),
        blocks=NOTHING_LEFT,
        left=True,
        select=DELETES,
        long_proof=True,
    ),
    Row(
        ("delete-leaves-objects",),
        each(NOTHING_LEFT, "left in model-engine-endpoints"),
        left=True,
        select=DELETES,
        long_proof=True,
    ),
]
