"""Of the builder, the cacher and the autoscaler."""

from rows.row import NEED_SERVING, NOTHING_LEFT, SERVES, Row, each

ROWS = [
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
        long_proof=True,
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
        long_proof=True,
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
        perhaps=("no_pod_in_error_state",),  # each time it is ready for a moment before it dies
        sign="CrashLoopBackOff",
        long_proof=True,
    ),
    Row(
        ("autoscaler-looping",),
        {"autoscaler_iterates": "the autoscaler's loop ends with an error each time"},
        long_proof=True,
    ),
]
