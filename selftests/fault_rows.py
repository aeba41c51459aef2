"""What each fault does to a run of the suite, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# What stands for several checks of one kind.
KINDS = ("sync", "async", "streaming")
ACCEPTED = tuple(f"{kind}_endpoint_is_accepted" for kind in KINDS)
SERVES = tuple(f"{kind}_endpoint_serves" for kind in KINDS)
DELETED = tuple(f"{kind}_endpoint_is_deleted" for kind in KINDS)
NOTHING_LEFT = tuple(f"nothing_of_{kind}_endpoint_is_left" for kind in KINDS)
ASYNC_TASKS = ("async_task_succeeds", "failing_async_task_is_told")
NEED_SERVING = (
    *("sync_task_echoes", "failing_task_fails", "cacher_publishes_endpoint", "streaming_task_echoes"),
    *ASYNC_TASKS,
)
PROBED = ("redis_answers_ping", "database_answers_select_1", "sqs_lists_queues", "sqs_queue_goes_round")
LIFECYCLES = (*ACCEPTED, *SERVES, *NEED_SERVING, *DELETED, *NOTHING_LEFT)
PULLS = ("gateway_image_is_pulled", "builder_image_is_pulled", "forwarder_image_is_pulled")
UNDECLARED = {"images_are_from_expected_registries", "target_is_as_declared"}
STREAMING = (
    *("streaming_endpoint_is_accepted", "streaming_endpoint_serves", "streaming_task_echoes"),
    *("streaming_endpoint_is_deleted", "nothing_of_streaming_endpoint_is_left"),
)
NOT_APPLICABLE = {
    (): {"redis_broker_answers_ping", "embedded_kubeconfig_is_valid", *UNDECLARED},
    ("documented",): {"failing_task_fails", "redis_broker_answers_ping", *STREAMING, *UNDECLARED},
    ("documented", "redis-broker", "patched"): {"failing_task_fails", *STREAMING, *UNDECLARED},
}
"""By what the sandbox is, what there is nothing to judge by."""


@dataclass(frozen=True)
class Row:
    """What faults, all there at once, do to a run. Check names stand without their phase; whatever is not named passes.

    `fails`: by failing check, in the order of the run, what stands in its line; none: nothing may turn red. `given`:
    options of the run. `select`: what it runs, else everything. `left`: whether something of an endpoint cannot be
    removed. `perhaps`: those of `fails` that pass where nothing had happened before. A row with `long_proof` is for
    `make prove` alone. `sign`: what the sandbox calls its first public sign, the others' is the fault's name.
    `words`: what the sandbox is.
    """

    faults: tuple[str, ...]
    fails: Mapping[str, str]
    blocks: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    sign: str = ""
    left: bool = False
    perhaps: tuple[str, ...] = ()
    long_proof: bool = False

    @property
    def name(self) -> str:
        return "+".join((*self.faults, *self.words)) or "declared"


def each(checks: tuple[str, ...], line: str) -> dict[str, str]:
    """All of them with the same line."""
    return dict.fromkeys(checks, line)


TIER_A, INFRA, PREFLIGHT = ("-m", "tier_a"), ("-m", "infra"), ("-m", "preflight")
ASKED = ("endpoints_are_listed", *ACCEPTED, "task_without_endpoint_is_refused")
"""What the gateway cannot answer without its database. It refuses whoever has no credentials before it asks."""
BEYOND_ACCEPTED = (*SERVES, *NEED_SERVING, *DELETED, *NOTHING_LEFT)

# Of the gateway, and of what it answers.
GATEWAY = [
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
    ),
    Row(
        ("list-not-a-list",),
        each(("endpoints_are_listed", *SERVES, *DELETED), "the gateway answers no list of model_endpoints"),
        blocks=(*NEED_SERVING, *NOTHING_LEFT),
        left=True,
        select=("-m", "control_plane"),
    ),
    Row(
        ("create-500",),
        each(ACCEPTED, "/v1/model-endpoints answered 500, not 200"),
        blocks=BEYOND_ACCEPTED,
        select=TIER_A,
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
        select=TIER_A,
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
        blocks=("failing_async_task_is_told",),
        long_proof=True,
    ),
    Row(("streaming-answers-nothing",), {"streaming_task_echoes": "a stream without an event"}, long_proof=True),
    Row(("delete-leaves-queue",), {NOTHING_LEFT[1]: "the queue launch-endpoint-id-end_"}, long_proof=True),
    Row(
        ("delete-not-performed",),
        each(DELETED, "the gateway answered the delete of"),
        blocks=NOTHING_LEFT,
        left=True,
        select=TIER_A,
    ),
    Row(("delete-leaves-objects",), each(NOTHING_LEFT, "left in model-engine-endpoints"), left=True, select=TIER_A),
]

RESTARTED = "no_restarts_during_the_run"
MEETS_REDIS = (
    *("redis_answers_ping", "cacher_redis_lets_it_in", *SERVES, *DELETED),
    RESTARTED,  # the cacher dies of it, once there is an endpoint
)

# Of what the release stands on.
OUTSIDE = [
    Row(
        ("broker-unreachable",),
        each(
            ("sqs_lists_queues", "sqs_queue_goes_round", "builder_is_connected", *ACCEPTED), "the broker sqs cannot be"
        ),
        blocks=BEYOND_ACCEPTED,
        left=True,
        long_proof=True,
    ),
    Row(
        ("sqs-denied",),
        each(
            (
                *("sqs_lists_queues", "sqs_queue_goes_round", "builder_runs", "no_pod_in_error_state"),
                *("builder_is_connected", *ACCEPTED, RESTARTED),
            ),
            "the release's role has not the rights to the broker sqs",
        ),
        blocks=BEYOND_ACCEPTED,
        perhaps=("builder_runs", "no_pod_in_error_state", RESTARTED),  # each time it runs for a moment before it dies
        long_proof=True,
    ),
    Row(
        ("builder-on-another-queue",),
        each(SERVES, "which does not shrink though the builder lives: it listens to"),
        given=("--set", "endpoint_ready_timeout=150"),
        blocks=NEED_SERVING,
        left=True,  # what was asked for may still be built, once somebody mends it
        long_proof=True,
    ),
    Row(
        ("cacher-without-redis-rights",),
        each(MEETS_REDIS, "does not let the release do what it must"),
        blocks=(*NEED_SERVING, *NOTHING_LEFT),
        left=True,
        long_proof=True,
    ),
    Row(
        ("redis-wants-a-password",),
        each(MEETS_REDIS, "wants a password"),
        perhaps=(RESTARTED,),  # one that had never met Redis waits for ever
        blocks=(*NEED_SERVING, *NOTHING_LEFT),
        left=True,
        long_proof=True,
    ),
    Row(
        ("redis-wants-a-password",),
        each(("redis_answers_ping", "cacher_redis_lets_it_in", *SERVES[:2]), "wants a password"),
        blocks=tuple(one for one in NEED_SERVING if one not in STREAMING),
        words=("documented",),
        long_proof=True,
    ),
    Row(
        ("redis-readonly",),
        each(MEETS_REDIS, "is read-only: a replica"),
        blocks=(*NEED_SERVING, *NOTHING_LEFT),
        left=True,
        long_proof=True,
    ),
    Row(
        ("redis-gone",),
        each(MEETS_REDIS, "refuses connections"),
        blocks=(*NEED_SERVING, *NOTHING_LEFT),
        left=True,
        long_proof=True,
    ),
    Row(
        ("database-gone",),
        each(("database_answers_select_1", *ASKED), "refuses connections"),
        blocks=BEYOND_ACCEPTED,
        long_proof=True,
    ),
    Row(
        ("database-wrong-password",),
        each(("database_answers_select_1", *ASKED), "the database refuses the release's user or password"),
        blocks=BEYOND_ACCEPTED,
        long_proof=True,
    ),
    Row(
        ("database-missing",),
        each(("database_answers_select_1", *ASKED), "the database that the release names does not exist"),
        blocks=BEYOND_ACCEPTED,
        long_proof=True,
    ),
    Row(
        ("database-not-migrated",),
        each(ASKED, "it is not migrated"),
        blocks=BEYOND_ACCEPTED,
        long_proof=True,
    ),
]

# Of the release's parts and objects.
RELEASE = [
    Row(
        ("echo-image-missing",),
        each((*PULLS, *SERVES), "cannot be pulled"),
        # Probes run the same image.
        blocks=(*NEED_SERVING, *PROBED, "cacher_redis_lets_it_in", "nothing_of_async_endpoint_is_left"),
        sign="ErrImagePull",
        select=("-m", "preflight or tier_a"),
        left=True,  # a queue may have been made: nobody can look without that image
    ),
    Row(
        (),
        {"target_is_as_declared": "gcp", "images_are_from_expected_registries": "images are from elsewhere: "},
        given=("--set", "expect={cloud: gcp, registries: [registry.example]}"),
        select=("-k", "target_is_as_declared or expected_registries"),
    ),
    Row(
        ("echo-crash-loop",),
        each(SERVES, "crashes again and again (Error 1)"),
        blocks=NEED_SERVING,
        sign="CrashLoopBackOff",
        long_proof=True,
    ),
    Row(
        ("no-node-fits",),
        each(("vllm_image_is_pulled", *PULLS, *SERVES), "no node can take the pod"),
        # Probes find no node either, those for queues among them.
        errors=(*PROBED, "cacher_redis_lets_it_in", "nothing_of_async_endpoint_is_left"),
        blocks=NEED_SERVING,
        left=True,
        sign="FailedScheduling",
        long_proof=True,
    ),
    Row(
        ("builder-scaled-to-zero",),
        each(
            ("builder_runs", "builder_is_connected", *SERVES),
            "the Deployment model-engine-endpoint-builder is scaled to 0",
        ),
        blocks=NEED_SERVING,
        sign="ScaledToZero",
        left=True,
        select=("-k", "builder_runs or builder_is_connected"),
    ),
    Row(
        ("builder-forbidden",),
        each(SERVES, "the builder may not create deployments"),
        blocks=(*NEED_SERVING, *NOTHING_LEFT),
        long_proof=True,
    ),
    Row(
        ("cacher-scaled-to-zero",),
        each(
            ("cacher_runs", "cacher_completes_cycles", "cacher_publishes_endpoint"),
            "the Deployment model-engine-cacher is scaled to 0",
        ),
        sign="ScaledToZero",
        select=("-k", "cacher"),
    ),
    Row(
        ("cacher-dead",),
        each(
            (
                *("cacher_runs", "no_pod_in_error_state", "cacher_completes_cycles", "no_restarts_during_the_run"),
                "cacher_publishes_endpoint",
            ),
            "the container model-engine-cacher of model-engine-cacher crashes again and again",
        ),
        sign="CrashLoopBackOff",
        long_proof=True,
    ),
    Row(
        ("autoscaler-dead",),
        each(
            ("autoscaler_runs", "no_pod_in_error_state", "autoscaler_iterates", "no_restarts_during_the_run"),
            "crashes again and again",
        ),
        sign="CrashLoopBackOff",
        long_proof=True,
    ),
    Row(
        ("autoscaler-looping",),
        {"autoscaler_iterates": "the autoscaler's loop ends with an error each time"},
        long_proof=True,
    ),
    # Several at once where none hides another.
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
        ("configuration-empty",), {"configuration_is_complete": "is empty"}, select=("-k", "configuration_is_complete")
    ),
    Row(("secret-gone",), {"named_secrets_exist": "does not exist"}, select=("-k", "named_secrets_exist")),
    Row(
        ("endpoint-namespace-gone",),
        {"namespaces_exist": "there is no namespace model-engine-endpoints"},
        select=("-k", "namespaces_exist"),
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
    Row(("two-image-tags",), {"one_image_tag_for_all": "do not all run one image tag: "}, long_proof=True),
    Row(("migration-failed",), {"no_migration_job_is_left": "failed: "}, sign="JobFailed", long_proof=True),
    Row(("hpa-missing",), {"gateway_hpa_can_scale": "no HorizontalPodAutoscaler"}, long_proof=True),
    Row(
        ("hpa-without-metrics",),
        {"gateway_hpa_can_scale": "gets no metrics: FailedGetPodsMetric"},
        sign="FailedGetPodsMetric",
        long_proof=True,
    ),
    Row(
        ("configuration-differs",),
        {"configuration_is_equal_in_both_namespaces": "infra_service_config.s3_bucket"},
        long_proof=True,
    ),
    Row(("vllm-image-missing",), {"vllm_image_is_pulled": "cannot be pulled"}, sign="ErrImagePull", long_proof=True),
]

# No fault at all: nothing may turn red.
GREEN = [
    Row(("another-teams-endpoint", "foreign-release", "leftovers", "redis-blip"), {}, long_proof=True),
    *(
        Row((one,), {}, long_proof=True)
        for one in (
            *("another-teams-endpoint", "foreign-release", "leftovers", "redis-blip", "backlog"),
            "without-status-reason",
        )
    ),
]

ROWS = [*GATEWAY, *OUTSIDE, *RELEASE, *GREEN]
