"""Whether the gateway that was given is the one of the kubeconfig's context: found out by reading alone."""

from __future__ import annotations

import secrets

from seatrial.kube import Kube, NotFound
from seatrial.model_engine.client import ModelEngine
from seatrial.model_engine.discovery import Release
from seatrial.resources import PODS
from seatrial.trial import Trial
from seatrial.verdict import BadSettings, NotJudged

SHOWN_WITHIN = 5.0
"""Seconds that a line gets from the gateway into its pod's log."""
TAIL = 2000
"""Lines of a busy gateway's log that are read."""


def another_deployment(trial: Trial, why: str) -> BadSettings:
    """What to raise when the gateway that was given does not belong to the cluster that was given."""
    settings = trial.settings
    return BadSettings(
        f"the gateway at {settings.gateway_url} belongs to another deployment than the context's: {why}",
        source=f"gateway_url: {settings.source('gateway_url')}",
        do="correct one of the two, or leave GATEWAY_URL away: the suite finds the context's gateway itself",
    )


def require_same(trial: Trial, given: ModelEngine, own: ModelEngine, kube: Kube, release: Release) -> None:
    """`BadSettings` if the two are of different deployments.

    The released gateway logs the name that is asked for. One that nobody has said before is asked for through each:
    where the context's pods have heard the one of `own` and not the other's, that went elsewhere. Where nothing is
    logged, or nobody may look, nothing is known, and the first create will tell.
    """
    there, here = (f"seatrial-{secrets.token_hex(8)}" for _ in range(2))
    try:
        given.endpoints(name=there)
        own.endpoints(name=here)
        heard = _heard(trial, kube, release, here)
    except (AssertionError, NotJudged) as error:
        trial.note(f"not verified yet that gateway_url and the context belong together: {error}")
        return
    if there not in heard:
        raise another_deployment(trial, "what is asked there, the context's gateway does not hear")


def _heard(trial: Trial, kube: Kube, release: Release, name: str) -> str:
    """The logs of the gateway's pods once `name` is in them; AssertionError if it does not come."""

    def probe() -> str:
        said = ""
        for pod in kube.list(PODS, release.namespace, labels=release.labels("gateway")):
            try:
                said += kube.logs(
                    pod["metadata"]["name"], release.namespace, container=release.container("gateway"), tail=TAIL
                )
            except NotFound:
                continue
        assert name in said, "the gateway does not log what it is asked"
        return said

    return trial.wait.until(probe, SHOWN_WITHIN, what="the gateway's log", fixed=True)
