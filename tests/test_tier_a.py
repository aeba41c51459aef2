"""Phase 4, tier A: an echo endpoint on CPU, from its create request to the last object that stood for it."""

import pytest

from seatrial.kube import Kube
from seatrial.model_engine.client import Contract, ModelEngine
from seatrial.model_engine.lifecycle import Lifecycle
from seatrial.model_engine.tasks import echoed, task
from seatrial.trial import Trial
from seatrial.verdict import NotApplicable

pytestmark = pytest.mark.writes


def test_sync_endpoint_is_accepted(sync_lifecycle: Lifecycle) -> None:
    """The gateway accepts the create request of a sync echo endpoint.

    Runbook: R0 4.1
    Hint: a 500 here is the broker or the database; the gateway's log names it.
    """
    assert sync_lifecycle.create().task


def test_sync_endpoint_serves(sync_lifecycle: Lifecycle, trial: Trial) -> None:
    """The sync endpoint becomes READY and a worker serves it.

    Runbook: R0 4.2
    Hint: READY alone proves only that objects were created; look at the worker's pod, and at the builder's log.
    """
    assert sync_lifecycle.ready()["status"] == "READY"
    trial.note(f"serving: {sync_lifecycle.served_by}")


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


def test_sync_endpoint_is_deleted(sync_lifecycle: Lifecycle) -> None:
    """Deleting the sync endpoint is answered with {"deleted": true}, and it leaves the list.

    Runbook: R0 4.6
    Hint: the gateway's log says why a delete was refused or not performed.
    """
    assert sync_lifecycle.delete() == {"deleted": True}
    sync_lifecycle.unlisted()


def test_nothing_of_sync_endpoint_is_left(kube: Kube, sync_lifecycle: Lifecycle, trial: Trial) -> None:
    """Nothing that stood for the sync endpoint is left in the cluster.

    Runbook: R0 4.6
    Hint: what is left no API can delete any more: kubectl delete it by its label endpoint_name.
    """
    for line in sync_lifecycle.gone():
        trial.note(line)
    if absent := sync_lifecycle.sight.objects.absent:
        trial.note(f"kinds that do not exist here: {', '.join(map(str, absent))}")
