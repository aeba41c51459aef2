"""What each fault does to the phase infra: the cheapest run that shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class InfraRow:
    """`fails`, of the checks that are run: `runs`, or `fails` alone; with `cause` in the line of the first.

    `documented`: on a release by that contract. `long_proof`: only there.
    """

    fault: str
    fails: tuple[str, ...]
    cause: str
    runs: tuple[str, ...] = ()
    documented: bool = False
    long_proof: bool = False

    def select(self) -> tuple[str, ...]:
        """The command line that selects them."""
        return tuple(f"tests/test_infra.py::test_{name}" for name in self.runs or self.fails)


INFRA = (
    InfraRow(
        "gateway-down",
        ("gateway_runs", "gateway_hpa_can_scale"),
        "the Deployment model-engine is scaled to 0",
        runs=("gateway_runs", "builder_runs", "gateway_hpa_can_scale"),
    ),
    InfraRow(
        "builder-scaled-to-zero",
        ("builder_runs", "builder_is_connected"),
        "the Deployment model-engine-endpoint-builder is scaled to 0",
    ),
    InfraRow(
        "cacher-dead",
        ("cacher_runs", "no_pod_in_error_state", "cacher_completes_cycles", "no_restarts_during_the_run"),
        "the container model-engine-cacher of model-engine-cacher crashes again and again",
    ),
    InfraRow(
        "two-image-tags",
        ("one_image_tag_for_all",),
        "do not all run one image tag: ",
        ("one_image_tag_for_all", "builder_runs"),
    ),
    InfraRow(
        "migration-failed",
        ("no_migration_job_is_left",),
        "failed: ",
        ("no_migration_job_is_left", "no_pod_in_error_state"),
    ),
    InfraRow(
        "hpa-missing",
        ("gateway_hpa_can_scale",),
        "no HorizontalPodAutoscaler in namespace model-engine scales",
        long_proof=True,
    ),
    InfraRow(
        "hpa-without-metrics", ("gateway_hpa_can_scale",), "gets no metrics: FailedGetPodsMetric", long_proof=True
    ),
    InfraRow(
        "broker-unreachable",
        ("builder_is_connected",),
        "the broker sqs cannot be reached",
        ("builder_runs", "builder_is_connected"),
        long_proof=True,
    ),
    InfraRow(
        "redis-wants-a-password",
        ("cacher_redis_lets_it_in",),
        "wants a password",
        ("cacher_runs", "cacher_redis_lets_it_in"),
    ),
    InfraRow(
        "cacher-without-redis-rights",
        ("cacher_redis_lets_it_in",),
        "does not let the release do what it must",
        long_proof=True,
    ),
    InfraRow(
        "inference-frameworks-stale",
        ("inference_frameworks_are_the_releases",),
        "vllm: 0.0.1-of-before, the release says 0.11.1",
    ),
    InfraRow("configuration-empty", ("configuration_is_complete",), "model-engine-service-config is empty"),
    InfraRow("configuration-differs", ("configuration_is_equal_in_both_namespaces",), "infra_service_config.s3_bucket"),
    InfraRow("kubeconfig-empty", ("embedded_kubeconfig_is_valid",), "has no clusters and no users", documented=True),
)
