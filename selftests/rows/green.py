"""What is no fault: nothing may turn red."""

from rows.row import SERVICE_BUS, SQS, STREAMING, NotApplicable, Row

TOGETHER = ("another-teams-endpoint", "foreign-release", "leftovers", "redis-blip")
ROWS = [
    Row(TOGETHER, {}, long_proof=True),
    *(Row((one,), {}, long_proof=True) for one in (*TOGETHER, "backlog", "ready-scrolled", "without-status-reason")),
    Row(
        ("autoscalers-off",),
        {},
        unjudged=("gateway_hpa_can_scale", "autoscaler_runs", "autoscaler_iterates"),
        long_proof=True,
    ),
]

REDIS_BROKER = ("redis-broker", "gcp", "onprem")
NOT_APPLICABLE = [
    NotApplicable(("images_are_from_expected_registries", "target_is_as_declared")),  # nobody declares anything
    NotApplicable(("failing_task_fails", "failing_async_task_is_told", *STREAMING), where=("documented",)),
    NotApplicable(("embedded_kubeconfig_is_valid",), unless=("documented",)),
    NotApplicable(("redis_broker_answers_ping",), unless=REDIS_BROKER),
    NotApplicable(SQS, where=(*REDIS_BROKER, "azure")),
    NotApplicable(SERVICE_BUS, unless=("azure",)),
    NotApplicable(("async_endpoint_survives_idle",)),  # it takes minutes, and nobody asks for it
    NotApplicable(("service_account_has_its_role",), where=("gcp", "onprem")),  # no pod on GCP shows its role
]
