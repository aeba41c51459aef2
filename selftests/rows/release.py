"""Of the release's objects."""

from rows.row import PROBED, SERVICE_BUS, Row, each

ROWS = [
    Row(
        (),
        {"target_is_as_declared": "gcp", "images_are_from_expected_registries": "images are from elsewhere: "},
        given=("--set", "expect={cloud: gcp, registries: [registry.example]}"),
        select=("-k", "target_is_as_declared or expected_registries"),
    ),
    Row(
        ("configuration-empty",),
        {"configuration_is_complete": "is empty"},
        # What goes by it is not judged by what the product takes for granted, a cloud for one; new pods do not start.
        blocks=(
            *(*PROBED, "vllm_image_is_pulled", *SERVICE_BUS, "redis_broker_answers_ping"),
            *("service_account_has_its_role", "cacher_redis_lets_it_in", "brokers_agree"),
            *("configuration_is_equal_in_both_namespaces", "cacher_publishes_endpoint"),
            "nothing_of_async_endpoint_is_left",
        ),
        select=("-k", "configuration or redis or service_bus or vllm_image_is_pulled or has_its_role"),
        left=True,  # a queue may have been made, and nobody can look
    ),
    Row(("secret-gone",), {"named_secrets_exist": "does not exist"}, select=("-k", "named_secrets_exist")),
    Row(
        ("endpoint-namespace-gone",),
        {"namespaces_exist": "there is no namespace model-engine-endpoints"},
        select=("-k", "namespaces_exist"),
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
        # The worker leaves results where the gateway does not look.
        each(("configuration_is_equal_in_both_namespaces", "async_task_succeeds"), "infra_service_config.s3_bucket"),
        blocks=("failing_async_task_is_told",),
        given=("--set", "async_task_timeout=50"),
        long_proof=True,
    ),
]
