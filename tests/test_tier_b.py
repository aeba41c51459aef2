"""Phase 5, tier B: an LLM endpoint on a GPU, from its create request to the last GPU that it held."""

import pytest

from seatrial.kube import Kube
from seatrial.model_engine.chat import Chat
from seatrial.model_engine.completion import requested
from seatrial.model_engine.lifecycle import Lifecycle
from seatrial.steps import needed
from seatrial.trial import Trial

pytestmark = [pytest.mark.writes, pytest.mark.usefixtures("tier_b_applies")]


def test_llm_endpoint_is_accepted(llm_lifecycle: Lifecycle) -> None:
    """The gateway accepts the create request of an LLM endpoint, once all that it will stand on was seen healthy.

    Runbook: R0 5.1
    Hint: checkpoint_path and gpu_type are settings; hardware is laid over the payload llm_endpoint (overlays).
    """
    assert llm_lifecycle.create().task


def test_llm_endpoint_serves(llm_lifecycle: Lifecycle, trial: Trial) -> None:
    """The LLM endpoint becomes READY and a worker has loaded the model.

    Runbook: R0 5.2
    Hint: READY alone proves only that objects were created; look at the worker's pod, and at its container main's log.
    """
    assert llm_lifecycle.ready()["status"] == "READY"
    trial.note(f"serving: {llm_lifecycle.served_by}")


def test_chat_completes(chat: Chat, trial: Trial, nonce: str) -> None:
    """A chat completion of the LLM endpoint has content and names that endpoint; one of nobody's is refused.

    Runbook: R0 5.3
    Hint: the worker's container main logs each request; a 400 may be that of a model without a chat template.
    """
    assert chat.answered().content
    assert chat.refused(f"nobody-{nonce}")
    trial.note("; ".join(filter(None, (str(chat.answered()), chat.witness))))


def test_chat_streams(chat: Chat, trial: Trial) -> None:
    """A streamed chat completion comes in pieces, in order, and to its end.

    Runbook: R0 5.4
    Hint: what comes all at once was held back by a proxy; what stops or ends with an error, the worker's log explains.
    """
    flow = chat.streamed()
    assert flow.reads >= 2
    trial.note(str(flow))


def test_only_v2_completions_are_used(chat: Chat, trial: Trial) -> None:
    """Completions are asked of v2 alone: the record of the run has no other.

    Runbook: R0 5.3
    Hint: this is about the suite: v1 completions are no part of these smoke tests.
    """
    needed(chat.answered)
    assert requested(trial.run.directory) == {"/v2/chat/completions"}


@pytest.mark.usefixtures("llm_dismissed")
def test_llm_endpoint_is_deleted(llm_lifecycle: Lifecycle) -> None:
    """Deleting the LLM endpoint is answered with {"deleted": true}, and it leaves the list.

    Runbook: R0 5.5
    Hint: the gateway's log says why a delete was refused or not performed.
    """
    assert llm_lifecycle.delete() == {"deleted": True}
    llm_lifecycle.unlisted()


def test_nothing_of_llm_endpoint_is_left(kube: Kube, llm_lifecycle: Lifecycle, trial: Trial) -> None:
    """Nothing that stood for the LLM endpoint is left in the cluster, and no pod of it holds a GPU any more.

    Runbook: R0 5.5
    Hint: workers are found by their label endpoint_name; one may take its whole grace period, 10 minutes, to end.
    """
    llm_lifecycle.gone()
    trial.note(f"its GPUs were free {llm_lifecycle.freed():.0f} s after the delete")
