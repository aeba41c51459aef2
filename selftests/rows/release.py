"""Of the release's objects."""

from rows.row import Row, each

ROWS = [
    Row(
        (),
        {"target_is_as_declared": "gcp", "images_are_from_expected_registries": "images are from elsewhere: "},
        given=("--set", "expect={cloud: gcp, registries: [registry.example]}"),
        select=("-k", "target_is_as_declared or expected_registries"),
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
