"""Of the broker, and of who asks it."""

from rows.row import ACCEPTED, ASYNC_TASKS, BEYOND_ACCEPTED, NEED_SERVING, NOTHING_LEFT, RESTARTED, SERVES, Row, each

ROWS = [
    Row(
        ("broker-unreachable",),
        each(
            ("sqs_lists_queues", "sqs_queue_goes_round", "builder_is_connected", *ACCEPTED), "the broker sqs cannot be"
        ),
        blocks=("brokers_agree", *BEYOND_ACCEPTED),
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
        blocks=("brokers_agree", *BEYOND_ACCEPTED),
        perhaps=("builder_runs", "no_pod_in_error_state", RESTARTED),  # each time it runs for a moment before it dies
        left=True,  # nobody may look whether what was asked for waits to be built
        long_proof=True,
    ),
    Row(
        ("builder-on-another-queue",),
        each(SERVES, "which does not shrink though the builder lives: it listens to"),
        given=("--set", "endpoint_ready_timeout=100"),
        at_timeout=True,
        blocks=NEED_SERVING,
        left=True,  # what was asked for may still be built, once somebody mends it
        long_proof=True,
    ),
    Row(
        # Healed in the other order: the builder that is started anew reads templates that are mended by then.
        ("wrong-region", "brokers-disagree"),
        {
            "sqs_region_is_the_releases": "the release means different regions of SQS: eu-west-1 by AWS_REGION of",
            "brokers_agree": "helm declares the broker elasticache",
        },
        select=("-k", "brokers_agree or sqs_region"),
    ),
    Row(
        ("brokers-disagree",),
        {"brokers_agree": "helm declares the broker elasticache"},
        select=("-k", "brokers_agree"),
        long_proof=True,
    ),
    Row(
        ("queue-create-denied",),
        {
            "sqs_queue_goes_round": "the release's role has not the rights to the broker sqs",
            "async_endpoint_serves": "Failed to create SQS queue",
        },
        blocks=(*ASYNC_TASKS, NOTHING_LEFT[1]),
        long_proof=True,
    ),
]
