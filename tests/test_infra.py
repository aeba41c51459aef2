"""Phase 2: every part of the release runs, does its work, and is configured as the release says."""

import pytest

from seatrial.model_engine.health import images
from seatrial.model_engine.infra import Infra
from seatrial.verdict import Unhealthy


def test_gateway_runs(infra: Infra) -> None:
    """The gateway's pods are Running and Ready, as many as wanted, all of the newest rollout.

    Runbook: R0 2.1
    Hint: describe the pods; a pod that is Running and not Ready does not answer /readyz.
    """
    infra.runs("gateway")


def test_builder_runs(infra: Infra) -> None:
    """The builder's pods are Running and Ready, as many as wanted, all of the newest rollout.

    Runbook: R0 2.1
    Hint: describe the pods; without a builder every endpoint stays pending.
    """
    infra.runs("builder")


def test_cacher_runs(infra: Infra) -> None:
    """The cacher's pods are Running and Ready, as many as wanted, all of the newest rollout.

    Runbook: R0 2.1
    Hint: describe the pods; a cacher becomes ready with its first cycle.
    """
    infra.runs("cacher")


def test_one_image_tag_for_all(infra: Infra) -> None:
    """All components run one image tag, the one that their GIT_TAG names.

    Runbook: beyond R0
    Hint: an upgrade that reached only some of them, or a kubectl set image: helm upgrade with one tag.
    """
    if cause := images.trouble(infra.kube, infra.release):
        raise Unhealthy(cause)


def test_no_pod_in_error_state(infra: Infra) -> None:
    """No pod of the release is in an error state.

    Runbook: R0 2.1
    Hint: pods of others, image caches, finished hooks and pods that their node has ended are told apart.
    """
    infra.broken_pods()


def test_no_migration_job_is_left(infra: Infra) -> None:
    """No migration of the database has failed: the chart deletes a migration's Job once it has succeeded.

    Runbook: beyond R0
    Hint: read the Job's log; gateway and builder need the tables that it makes.
    """
    infra.no_migration_left()


def test_gateway_hpa_can_scale(infra: Infra) -> None:
    """The gateway has a HorizontalPodAutoscaler, and that one can scale: it gets its metric.

    Runbook: R0 2.2
    Hint: without an adapter for custom metrics it is there and does nothing; describe it.
    """
    infra.hpa_can_scale()


def test_autoscaler_runs(infra: Infra) -> None:
    """The Celery autoscaler's pods are Running and Ready, as many as wanted, all of the newest rollout.

    Runbook: R0 2.3
    Hint: describe the StatefulSet and its pods; without it async endpoints keep the workers they have.
    """
    infra.switched_off("celery_autoscaler")
    infra.runs("autoscaler")


def test_autoscaler_iterates(infra: Infra) -> None:
    """The Celery autoscaler completes a new pass of its loop, without an error.

    Runbook: R0 2.3
    Hint: its pods have no probe and stay ready whatever happens; its log has the error.
    """
    infra.switched_off("celery_autoscaler")
    infra.autoscaler_iterates()


def test_cacher_completes_cycles(infra: Infra) -> None:
    """The cacher completes a new cycle within two of them.

    Runbook: R0 2.4
    Hint: a cacher that reads the cluster and then says nothing waits for Redis.
    """
    infra.cacher_cycles()


@pytest.mark.writes
def test_cacher_redis_lets_it_in(infra: Infra) -> None:
    """The Redis that the cacher writes to lets it in and write, by the cacher's own URL.

    Runbook: R0 2.4
    Hint: without an endpoint the cacher never touches Redis, and looks healthy with a wrong password.
    """
    infra.redis_lets_the_cacher_in()


def test_builder_is_connected(infra: Infra) -> None:
    """The builder's worker takes tasks from the broker: its last word is `ready.`, or work done.

    Runbook: R0 2.5
    Hint: a builder is Ready before it has reached the broker; its log says what it waits for.
    """
    infra.builder_is_connected()


def test_brokers_agree(infra: Infra) -> None:
    """Helm, gateway, builder, autoscaler and the endpoints' forwarders go by one and the same broker.

    Runbook: R0 1.6
    Hint: celeryBrokerType is sqs, redis or servicebus; elasticache, as some pages have it, no forwarder understands.
    """
    infra.brokers_agree()


def test_configuration_is_complete(infra: Infra) -> None:
    """The ConfigMaps that the components mount exist, parse, and hold what the product needs.

    Runbook: R0 2.6
    Hint: helm upgrade writes them again; a new pod cannot start without a key that is missing.
    """
    infra.configured()


def test_configuration_is_equal_in_both_namespaces(infra: Infra) -> None:
    """The endpoints' namespace has the same service configuration as the release's.

    Runbook: R0 2.6
    Hint: endpoints' pods go by the copy: one that was edited by hand sends them to another broker or bucket.
    """
    infra.same_in_both_namespaces()


def test_inference_frameworks_are_the_releases(infra: Infra) -> None:
    """The tags of the inference frameworks are those that the release was given.

    Runbook: beyond R0
    Hint: the chart writes that ConfigMap at the install alone: after an upgrade it still holds the tags of before.
    """
    infra.frameworks_are_the_releases()


def test_embedded_kubeconfig_is_valid(infra: Infra) -> None:
    """The kubeconfig that the release embeds has clusters and users.

    Runbook: R0 2.6
    Hint: the released chart has none; where the documented one does, helm upgrade writes it again.
    """
    infra.kubeconfig_is_valid()


@pytest.mark.last
def test_no_restarts_during_the_run(infra: Infra) -> None:
    """No component was restarted since the run began.

    Runbook: R0 2.1
    Hint: between two crashes a pod is Running and Ready; its previous log says why it ended.
    """
    infra.no_restarts()
