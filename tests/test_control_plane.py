"""Phase 3: the gateway answers, lists, and lets nobody in without credentials."""

from seatrial.model_engine.client import ModelEngine
from seatrial.trial import Trial


def test_healthz(gateway: ModelEngine) -> None:
    """The gateway answers /healthz with 200.

    Runbook: R0 3.1
    Hint: look at the gateway's pods and at what stands between them and here: Service, ingress, port-forward.
    """
    assert gateway.healthz().status == 200


def test_endpoints_are_listed(engine: ModelEngine) -> None:
    """Listing model endpoints with our token is answered with 200 and a list.

    Runbook: R0 3.2
    Hint: a 500 here is the database: not reachable, or not migrated. The gateway's log names it.
    """
    assert isinstance(engine.endpoints(), list)


def test_no_credentials_no_entry(engine: ModelEngine, trial: Trial) -> None:
    """Without credentials the gateway answers 401.

    Runbook: R0 3.2
    Hint: something before the gateway adds credentials of its own, or its authentication is switched off.
    """
    answer = engine.http.call("GET", "/v1/model-endpoints", auth=False)
    assert answer.status == 401, f"{answer.asked} answered {answer.status}, not 401: {answer.said}"
    if engine.takes_any_token():
        trial.warn("the gateway takes any token, made-up ones too; ours will stand in labels and logs")
