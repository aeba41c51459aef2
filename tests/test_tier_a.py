"""Phase 4, tier A: echo endpoints on CPU, from their create requests to the last object that stood for them."""

import uuid

import pytest

from seatrial.kube import Kube
from seatrial.model_engine.async_tasks import AsyncTasks
from seatrial.model_engine.client import Contract, ModelEngine
from seatrial.model_engine.depths import Queues
from seatrial.model_engine.lifecycle import Lifecycle
from seatrial.model_engine.published import Published
from seatrial.model_engine.tasks import echoed, streamed, task
from seatrial.trial import Trial
from seatrial.verdict import NotApplicable

pytestmark = pytest.mark.writes


def test_sync_endpoint_is_accepted(sync_lifecycle: Lifecycle) -> None:
    """The gateway accepts the create request of a sync echo endpoint.

    Runbook: R0 4.1
    Hint: a 500 here is the broker or the database; the gateway's log names it.
    """
    assert sync_lifecycle.create().task


def test_async_endpoint_is_accepted(async_lifecycle: Lifecycle) -> None:
    """The gateway accepts the create request of an async echo endpoint.

    Runbook: R0 4.4
    Hint: a 500 here is the broker or the database; the gateway's log names it.
    """
    assert async_lifecycle.create().task


def test_streaming_endpoint_is_accepted(streaming_lifecycle: Lifecycle) -> None:
    """The gateway accepts the create request of a streaming echo endpoint.

    Runbook: beyond R0
    Hint: a 500 here is the broker or the database; the gateway's log names it.
    """
    assert streaming_lifecycle.create().task


def test_sync_endpoint_serves(sync_lifecycle: Lifecycle, trial: Trial) -> None:
    """The sync endpoint becomes READY and a worker serves it.

    Runbook: R0 4.2
    Hint: READY alone proves only that objects were created; look at the worker's pod, and at the builder's log.
    """
    assert sync_lifecycle.ready()["status"] == "READY"
    trial.note(f"serving: {sync_lifecycle.served_by}")


def test_async_endpoint_serves(async_lifecycle: Lifecycle, trial: Trial) -> None:
    """The async endpoint becomes READY and a worker of it is there.

    Runbook: R0 4.4
    Hint: its worker's forwarder has no readiness probe, so only a task proves that it takes tasks.
    """
    assert async_lifecycle.ready()["status"] == "READY"
    trial.note(f"serving: {async_lifecycle.served_by}")


def test_streaming_endpoint_serves(streaming_lifecycle: Lifecycle, trial: Trial) -> None:
    """The streaming endpoint becomes READY and a worker serves it.

    Runbook: beyond R0
    Hint: READY alone proves only that objects were created; look at the worker's pod, and at the builder's log.
    """
    assert streaming_lifecycle.ready()["status"] == "READY"
    trial.note(f"serving: {streaming_lifecycle.served_by}")


def test_sync_task_echoes(engine: ModelEngine, sync_endpoint: str, nonce: str) -> None:
    """A sync task comes back unchanged through gateway, forwarder and worker.

    Runbook: R0 4.3
    Hint: HTTP 200 may carry a FAILURE; the logs of the endpoint's containers http-forwarder and main say why.
    """
    assert echoed(engine.sync_task(sync_endpoint, {"nonce": nonce})) == {"nonce": nonce}


def test_task_without_endpoint_is_refused(engine: ModelEngine, nonce: str) -> None:
    """A task for an endpoint that does not exist is refused.

    Runbook: R0 4.3
    Hint: something answers in the gateway's place; a SUCCESS from it proves nothing.
    """
    answer = engine.sync_task(f"end_{nonce}", {"nonce": nonce})
    refused = answer.status in range(400, 500) and answer.status not in (405, 408, 429)
    refused = refused or (answer.status == 200 and task(answer).status == "FAILURE")
    assert refused, f"{answer.asked} answered {answer.status}: {answer.said}"


def test_failing_task_fails(engine: ModelEngine, sync_endpoint: str, nonce: str) -> None:
    """A task that the worker answers with an error does not succeed.

    Runbook: R0 4.3
    Hint: a gateway that says SUCCESS to everything makes every other green of this tier worthless.
    """
    if engine.contract is not Contract.RELEASED:
        raise NotApplicable("the documented contract's echo has no way to fail on demand")
    assert task(engine.sync_task(sync_endpoint, {"nonce": nonce, "status_code": 500})).status == "FAILURE"


def test_cacher_publishes_endpoint(published: Published, sync_endpoint: str, trial: Trial) -> None:
    """The cacher writes what the cluster says of an endpoint to Redis, again and again.

    Runbook: R0 2.4
    Hint: a cacher that may not write to Redis looks healthy as long as there is no endpoint; its log says more.
    """
    published.await_written(sync_endpoint)
    trial.note(f"written by the cacher with {published.seconds_to_live:.0f} s to live")


def test_streaming_task_echoes(engine: ModelEngine, streaming_endpoint: str, nonce: str) -> None:
    """A streaming task comes back unchanged as server-sent events, through gateway, forwarder and worker.

    Runbook: beyond R0
    Hint: what buffers or cuts event streams stands between: an ingress, a proxy, a mesh.
    """
    assert streamed(engine.streaming_task(streaming_endpoint, {"nonce": nonce})) == [{"nonce": nonce}]


def test_async_task_succeeds(async_tasks: AsyncTasks) -> None:
    """An async task ends with SUCCESS and status_code 200, and comes back unchanged.

    Runbook: R0 4.5
    Hint: PENDING for ever is the queue or the store of results; the log of the container celery-forwarder says which.
    """
    assert async_tasks.answered().echo() == {"nonce": async_tasks.nonce}


def test_failing_async_task_is_told(engine: ModelEngine, answered_async_tasks: AsyncTasks, nonce: str) -> None:
    """An async task that the worker answers with an error is told apart from one that succeeds.

    Runbook: R0 4.5
    Hint: the released gateway says SUCCESS with status_code 500; one that says 200 makes every other green worthless.
    """
    if engine.contract is not Contract.RELEASED:
        raise NotApplicable("the documented contract's echo has no way to fail on demand")
    done = answered_async_tasks.done({"nonce": nonce, "status_code": 500})
    assert not done.succeeded, f"the worker answered 500, and the gateway tells of a success: {done.text}"


@pytest.mark.slow
@pytest.mark.azure
@pytest.mark.usefixtures("on_azure")
def test_async_endpoint_survives_idle(async_tasks: AsyncTasks) -> None:
    """Async tasks succeed after the broker has parted with connections that idled (broker_idle, 330 s).

    Runbook: R0 1.6
    Hint: Service Bus drops idle connections; the image must keep them alive and open them anew, see the pool's check.
    """
    async_tasks.survive_idle()


def test_unknown_async_task_never_succeeds(engine: ModelEngine) -> None:
    """A task that nobody ever sent does not succeed.

    Runbook: R0 4.5
    Hint: something answers in the gateway's place; a SUCCESS from it proves nothing. PENDING for ever is right.
    """
    answer = engine.async_result(str(uuid.uuid4()))
    told = answer.status == 200 and task(answer).over and task(answer).status != "FAILURE"
    assert not told, f"{answer.asked} answered {answer.status}: {answer.said}"


@pytest.mark.usefixtures("dismissed")
def test_sync_endpoint_is_deleted(sync_lifecycle: Lifecycle) -> None:
    """Deleting the sync endpoint is answered with {"deleted": true}, and it leaves the list.

    Runbook: R0 4.6
    Hint: the gateway's log says why a delete was refused or not performed.
    """
    assert sync_lifecycle.delete() == {"deleted": True}
    sync_lifecycle.unlisted()


@pytest.mark.usefixtures("dismissed")
def test_async_endpoint_is_deleted(async_lifecycle: Lifecycle) -> None:
    """Deleting the async endpoint is answered with {"deleted": true}, and it leaves the list.

    Runbook: R0 4.6
    Hint: the gateway's log says why a delete was refused or not performed.
    """
    assert async_lifecycle.delete() == {"deleted": True}
    async_lifecycle.unlisted()


@pytest.mark.usefixtures("dismissed")
def test_streaming_endpoint_is_deleted(streaming_lifecycle: Lifecycle) -> None:
    """Deleting the streaming endpoint is answered with {"deleted": true}, and it leaves the list.

    Runbook: R0 4.6
    Hint: the gateway's log says why a delete was refused or not performed.
    """
    assert streaming_lifecycle.delete() == {"deleted": True}
    streaming_lifecycle.unlisted()


def test_nothing_of_sync_endpoint_is_left(kube: Kube, sync_lifecycle: Lifecycle, trial: Trial) -> None:
    """Nothing that stood for the sync endpoint is left in the cluster.

    Runbook: R0 4.6
    Hint: what is left no API can delete any more: kubectl delete it by its label endpoint_name.
    """
    sync_lifecycle.gone()
    if absent := sync_lifecycle.sight.objects.absent:
        trial.note(f"kinds that do not exist here: {', '.join(map(str, absent))}")


def test_nothing_of_async_endpoint_is_left(kube: Kube, queues: Queues, async_lifecycle: Lifecycle) -> None:
    """Nothing that stood for the async endpoint is left in the cluster, and its queue is gone from the broker.

    Runbook: R0 4.6
    Hint: what is left no API can delete any more: kubectl delete it by its label endpoint_name, the queue by its name.
    """
    async_lifecycle.gone()
    queues.watch(async_lifecycle.sight.queue).gone()


def test_nothing_of_streaming_endpoint_is_left(kube: Kube, streaming_lifecycle: Lifecycle) -> None:
    """Nothing that stood for the streaming endpoint is left in the cluster.

    Runbook: R0 4.6
    Hint: what is left no API can delete any more: kubectl delete it by its label endpoint_name.
    """
    streaming_lifecycle.gone()
