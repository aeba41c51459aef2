"""Several at once, where none hides another."""

from rows.row import (
    DELETED,
    INFRA,
    NEED_SERVING,
    NOTHING_LEFT,
    PROBED,
    PULLS,
    SERVES,
    Row,
    each,
)

ROWS = [
    Row(
        ("someone-elses-task", "cacher-scaled-to-zero", "delete-leaves-objects"),
        {
            **each(("cacher_runs", "cacher_completes_cycles"), "the Deployment model-engine-cacher is scaled to 0"),
            "sync_task_echoes": "someone-else",
            "failing_task_fails": "'SUCCESS' == 'FAILURE'",
            "cacher_publishes_endpoint": "the Deployment model-engine-cacher is scaled to 0",
            "streaming_task_echoes": "someone-else",
            "async_task_succeeds": "someone-else",
            "failing_async_task_is_told": "the worker answered 500, and the gateway tells of a success",
            **each(NOTHING_LEFT, "left in model-engine-endpoints"),
        },
        sign="ScaledToZero",
        select=("-k", "tier_a or cacher"),
        left=True,
    ),
    Row(
        ("echo-image-missing", "delete-not-performed"),
        each((*PULLS, *SERVES), "cannot be pulled") | each(DELETED, "the gateway answered the delete of"),
        # Probes run the same image.
        blocks=(*NEED_SERVING, *PROBED, "cacher_redis_lets_it_in", *NOTHING_LEFT),
        sign="ErrImagePull",
        select=("-m", "preflight or tier_a"),
        left=True,
    ),
    Row(
        (
            *("hpa-missing", "configuration-differs", "two-image-tags", "migration-failed"),
            *("autoscaler-looping", "inference-frameworks-stale"),
        ),
        {
            "one_image_tag_for_all": "do not all run one image tag: ",
            "no_migration_job_is_left": "failed: ",
            "gateway_hpa_can_scale": "no HorizontalPodAutoscaler in namespace model-engine scales",
            "autoscaler_iterates": "the autoscaler's loop ends with an error each time",
            "configuration_is_equal_in_both_namespaces": "infra_service_config.s3_bucket",
            "inference_frameworks_are_the_releases": "vllm: 0.0.1-of-before, the release says 0.11.1",
        },
        select=INFRA,
    ),
    Row(
        ("cacher-dead", "autoscaler-dead"),
        {
            "cacher_runs": "crashes again and again",
            "autoscaler_runs": "crashes again and again",
            "no_pod_in_error_state": "crashes again and again",
            "autoscaler_iterates": "crashes again and again",
            "cacher_completes_cycles": "crashes again and again",
            "no_restarts_during_the_run": "",
        },
        sign="CrashLoopBackOff",
        select=INFRA,
    ),
    Row(
        ("gateway-down", "builder-scaled-to-zero"),
        {
            "gateway_runs": "the Deployment model-engine is scaled to 0",
            "builder_runs": "the Deployment model-engine-endpoint-builder is scaled to 0",
            "gateway_hpa_can_scale": "the Deployment model-engine is scaled to 0",
            "builder_is_connected": "the Deployment model-engine-endpoint-builder is scaled to 0",
            "healthz": "the Deployment model-engine is scaled to 0",
        },
        blocks=("endpoints_are_listed",),
        sign="ScaledToZero",
        select=("-k", "gateway_runs or hpa or healthz or endpoints_are_listed or builder_runs or builder_is_connected"),
    ),
    Row(
        ("list-not-a-list", "success-to-everything"),
        {
            "endpoints_are_listed": "the gateway answers no list of model_endpoints",
            "task_without_endpoint_is_refused": "answered 200",
            "unknown_async_task_never_succeeds": "answered 200",
        },
        select=("-k", "control_plane or unknown_async"),
    ),
    Row(
        ("redis-wants-a-password", "database-gone", "vllm-image-missing", "sqs-denied"),
        {
            "redis_answers_ping": "wants a password",
            "database_answers_select_1": "refuses connections",
            "vllm_image_is_pulled": "cannot be pulled",
            "sqs_lists_queues": "the release's role has not the rights to the broker sqs",
            "sqs_queue_goes_round": "the release's role has not the rights to the broker sqs",
            "cacher_redis_lets_it_in": "wants a password",
            "builder_is_connected": "the release's role has not the rights to the broker sqs",
        },
        select=("-k", "redis or database or vllm or sqs or builder_is_connected"),
    ),
    Row(
        ("kubeconfig-empty", "redis-wants-a-password"),
        {
            "redis_answers_ping": "wants a password",
            "redis_broker_answers_ping": "wants a password",
            "embedded_kubeconfig_is_valid": "has no clusters and no users",
        },
        words=("documented", "redis-broker", "patched"),
        select=("-k", "answers_ping or kubeconfig"),
    ),
]
