"""Phase 1: what must hold before the product can work, seen from where the product is."""

import pytest

from seatrial.gpu.asked import DriverCheck
from seatrial.model_engine import cloud_roles, images, regions, service_bus
from seatrial.model_engine.configuration import BROKER_DATABASES
from seatrial.model_engine.gpu_nodes import GpuNodes, Pulls
from seatrial.model_engine.ground import Ground
from seatrial.model_engine.images import Pull
from seatrial.model_engine.services import Answer, RoundTrip
from seatrial.permissions import Permissions
from seatrial.verdict import NotApplicable, Unhealthy


def test_permissions(permissions: Permissions) -> None:
    """The runner has the permissions that the selected checks need.

    Runbook: beyond R0
    Hint: bind the runner to the roles that python -m seatrial rbac prints; docs/rbac.yaml has those of a full run.
    """
    assert permissions.require() > 0, "no right was asked for"


def test_target_is_as_declared(ground: Ground) -> None:
    """The target is what the run declares: the cloud, the product, and as many GPUs.

    Runbook: beyond R0
    Hint: expect in the settings declares, and -m with a cloud; correct that, or the context.
    """
    expect, scope = ground.trial.settings.expect, ground.trial.scope
    gpus = expect.gpu if expect.gpu and expect.gpu.at_least else None
    if not (scope.clouds or gpus or expect.products):
        raise NotApplicable("expect names no cloud, product or GPUs, and -m no cloud")
    for cloud in scope.clouds:
        ground.configuration.require()
        scope.require_cloud(cloud, ground.configuration.cloud, ground.configuration.source)
    assert not expect.products or ground.release, f"declared {', '.join(expect.products)}, and there is no release"
    assert not gpus or ground.gpus(gpus.vendor) >= gpus.at_least, f"declared {gpus}, found {ground.gpus(gpus.vendor)}"


def test_namespaces_exist(ground: Ground) -> None:
    """The namespaces of the release and of its endpoints exist.

    Runbook: beyond R0
    Hint: helm makes the release's with --create-namespace; nothing makes the endpoints' but you.
    """
    if ground.kube is None:
        raise NotApplicable("namespaces are seen in the cluster alone")
    for cause in ground.missing.values():
        raise Unhealthy(cause)
    assert ground.namespace
    assert ground.endpoint_namespace


def test_named_secrets_exist(ground: Ground) -> None:
    """Every Secret that the release or its values name exists and has the key that is asked for.

    Runbook: beyond R0
    Hint: no chart makes the Secrets of the database, of Redis and of a registry; make them before the install.
    """
    if ground.kube is None:
        raise NotApplicable("Secrets are seen in the cluster alone")
    named = list(ground.secrets())
    for one in named:
        if cause := ground.absent(*one):
            raise Unhealthy(cause)
    if not named:
        raise NotApplicable(f"no Secret is named by {ground.configuration.source or 'the release'}")


@pytest.mark.writes
def test_redis_answers_ping(cache_redis: Answer) -> None:
    """Redis that holds the cache answers PING and takes a write, from where the product asks it.

    Runbook: R0 1.1
    Hint: the cause names what is wrong: its address, the network, TLS, or the password in cache_redis_aws_url.
    """
    assert cache_redis.result()["replies"] == ["PONG", "OK"]


@pytest.mark.writes
def test_database_answers_select_1(database: Answer) -> None:
    """The database lets the release in and answers SELECT 1, from where the product asks it.

    Runbook: R0 1.2
    Hint: the URL is in the Secret that secrets.kubernetesDatabaseSecretName names, under the key database_url.
    """
    assert database.result()["answer"] == 1


@pytest.mark.writes
def test_vllm_image_is_pulled(vllm_image: Pull) -> None:
    """The vLLM image can be pulled in the endpoints' namespace, under the endpoints' service account, and runs.

    Runbook: R0 1.3
    Hint: mirror the image to your own registry, and name it in config.values.launch.vllm_repository.
    """
    assert vllm_image.pulled(), "it ran, and the node says no image id"


@pytest.mark.nvidia
@pytest.mark.amd
def test_gpu_nodes_are_labelled(gpu_nodes: GpuNodes) -> None:
    """Every GPU node has the label that the release's endpoints select it by, with a GPU type that the product knows.

    Runbook: R0 1.5
    Hint: no cloud sets k8s.amazonaws.com/accelerator; label the node pool with it, on every cloud.
    """
    gpu_nodes.labelled()


@pytest.mark.nvidia
@pytest.mark.amd
def test_gpu_nodes_take_pods(gpu_nodes: GpuNodes) -> None:
    """Every GPU node is Ready and schedulable, and has no taint that the release's endpoints do not tolerate.

    Runbook: R0 1.5
    Hint: gpuTolerations in the values are added to what the chart's template tolerates.
    """
    gpu_nodes.take_pods()


@pytest.mark.nvidia
@pytest.mark.amd
def test_gpus_are_allocatable(gpu_nodes: GpuNodes) -> None:
    """Every GPU node can give all GPUs that it has, and together they are as many as expected.

    Runbook: R0 1.4
    Hint: a device plug-in's pod that is Ready proves nothing; what it has registered is what the node can give.
    """
    gpu_nodes.allocatable()


@pytest.mark.nvidia
@pytest.mark.amd
def test_gpu_operator_is_reconciled(gpu_nodes: GpuNodes) -> None:
    """The vendor's GPU operator is reconciled, and its device plug-in runs on every GPU node that takes pods.

    Runbook: beyond R0
    Hint: 0 of 0 pods ready looks fine and is not: without node feature discovery no node is a GPU node to it.
    """
    gpu_nodes.operators_are_done()


@pytest.mark.writes
@pytest.mark.nvidia
@pytest.mark.amd
def test_gpu_driver_works(gpu_driver: DriverCheck) -> None:
    """The GPU driver answers in a pod that was given a GPU, with its version and nothing wrong, on a node of each type.

    Runbook: R0 1.4
    Hint: gpu_probe_image names another image than vLLM's to ask with; --every-gpu-node asks on all.
    """
    assert gpu_driver.works(), "no driver was asked"


@pytest.mark.writes
@pytest.mark.nvidia
@pytest.mark.amd
def test_vllm_image_is_pulled_on_gpu_nodes(vllm_image_on_gpu_nodes: Pulls) -> None:
    """The vLLM image can be pulled on a GPU node of each type, as an endpoint's pod would, and runs.

    Runbook: R0 1.3
    Hint: GPU pools often have a network, a disk and pull credentials of their own.
    """
    ids = vllm_image_on_gpu_nodes.pulled()
    assert all(ids), "it ran, and a node says no image id"


@pytest.mark.writes
def test_gateway_image_is_pulled(gateway_image: Pull) -> None:
    """The gateway's image, which the cacher runs too, can be pulled under the release's service account, and runs.

    Runbook: beyond R0
    Hint: image.gatewayRepository and tag name it; a private registry wants a pull secret.
    """
    assert gateway_image.pulled(), "it ran, and the node says no image id"


@pytest.mark.writes
def test_builder_image_is_pulled(builder_image: Pull) -> None:
    """The builder's image can be pulled under the release's service account, and runs.

    Runbook: beyond R0
    Hint: image.builderRepository and tag name it; a private registry wants a pull secret.
    """
    assert builder_image.pulled(), "it ran, and the node says no image id"


@pytest.mark.writes
def test_forwarder_image_is_pulled(forwarder_image: Pull) -> None:
    """The forwarder's image can be pulled in the endpoints' namespace, under their service account, and runs.

    Runbook: beyond R0
    Hint: image.forwarderRepository and tag name it; the endpoints' namespace wants a pull secret of its own.
    """
    assert forwarder_image.pulled(), "it ran, and the node says no image id"


def test_images_are_from_expected_registries(ground: Ground) -> None:
    """Every image of release, endpoints and probes is from a registry that expect.registries names.

    Runbook: beyond R0
    Hint: mirror what is listed and correct its name in the values; or add its registry to expect.registries.
    """
    registries = ground.trial.settings.expect.registries
    if not registries:
        raise NotApplicable("expect.registries names no registry")
    found = images.everywhere(ground)
    foreign = [f"{one} ({found[one]})" for one in images.elsewhere(found, registries)]
    assert not foreign, f"{len(foreign)} of {len(found)} images are from elsewhere: {', '.join(foreign)}"
    assert found, "no image is known"


@pytest.mark.writes
@pytest.mark.aws
def test_sqs_lists_queues(sqs_list: Answer) -> None:
    """SQS lists its queues to the release's service account.

    Runbook: R0 1.6
    Hint: the role in the service account's annotation needs sqs:ListQueues; AWS_REGION of the pods says where.
    """
    assert isinstance(sqs_list.result()["queues"], list)


@pytest.mark.writes
@pytest.mark.aws
def test_sqs_queue_goes_round(sqs_round: RoundTrip) -> None:
    """The release's service account can make, use and delete a queue with the product's prefix.

    Runbook: R0 1.6
    Hint: the builder makes such a queue for each async endpoint; the role needs sqs:* on launch-endpoint-id-*.
    """
    said = sqs_round.result()
    assert said["body"] == said["nonce"], f"of the message that was sent came back: {said['body']}"
    assert said["done"] == ["created", "sent", "received", "deleted"]


@pytest.mark.writes
@pytest.mark.aws
def test_sqs_region_is_the_releases(sqs_list: Answer, ground: Ground) -> None:
    """The release's pods ask SQS in the region that the release is configured for, where its queues are made.

    Runbook: R0 1.6
    Hint: Celery goes by AWS_REGION of the pods alone, the builder makes queues in default_region of the values.
    """
    regions.require_one(ground, sqs_list.region)


@pytest.mark.aws
@pytest.mark.azure
@pytest.mark.gcp
def test_service_account_has_its_role(ground: Ground) -> None:
    """The service accounts of release and endpoints come by the role that they name in the cloud.

    Runbook: R0 1.6
    Hint: serviceAccount.annotations names it; a cluster whose nodes have the rights needs none, and is not judged.
    """
    for line in cloud_roles.require(ground):
        ground.trial.note(line)


@pytest.mark.azure
def test_service_bus_secret_exists(ground: Ground) -> None:
    """What logs the release in to Service Bus is there: the Secret that is named, else its pods' workload identity.

    Runbook: R0 1.6
    Hint: ASB_SECRET_NAME names the Secret; without one the pods carry azure.workload.identity/use, and a webhook acts.
    """
    ground.trial.note(f"the release logs in to Service Bus by {service_bus.login(ground)}")


@pytest.mark.writes
@pytest.mark.azure
def test_service_bus_goes_round(service_bus_round: RoundTrip) -> None:
    """A Service Bus sender opens for the release's service account, and a message goes round through a queue of ours.

    Runbook: R0 1.6
    Hint: the release's identity needs the role Azure Service Bus Data Owner; ports 5671 and 443 must be open.
    """
    said = service_bus_round.result()
    assert said["body"] == said["nonce"], f"of the message that was sent came back: {said['body']}"
    assert said["done"] == ["created", "sent", "received", "deleted"]


@pytest.mark.writes
@pytest.mark.azure
def test_service_bus_pool_is_right(service_bus_round: RoundTrip, ground: Ground) -> None:
    """What sees to idle connections is set as this version of the product wants it.

    Runbook: R0 1.6
    Hint: broker_pool_limit=0 is right for the documented product and wrong for the released one, which keeps alive.
    """
    ground.trial.note(service_bus.pool(ground, service_bus_round))


@pytest.mark.writes
@pytest.mark.gcp
@pytest.mark.onprem
def test_redis_broker_answers_ping(broker_redis: Answer) -> None:
    """Redis that is the broker answers PING, and takes a write in each database that the product uses.

    Runbook: R0 1.6
    Hint: REDIS_HOST and REDIS_PORT of the pods name it, else redis_host; REDIS_AUTH_TOKEN has the password.
    """
    assert broker_redis.result()["replies"] == ["PONG", *["OK", "OK"] * len(BROKER_DATABASES)]
