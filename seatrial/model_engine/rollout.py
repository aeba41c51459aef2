"""The release's rollouts: before the first request they are over, so that what is judged does not change meanwhile."""

from __future__ import annotations

from seatrial import health
from seatrial.kube import Kube, NotFound
from seatrial.model_engine.discovery import Release
from seatrial.trial import Trial
from seatrial.verdict import Unhealthy

LONGEST = 300.0
"""Seconds after which the run goes on, with a note: a rollout that never ends is for the checks to find."""


def await_complete(trial: Trial, kube: Kube, release: Release) -> None:
    """Wait until every component's pods are of its newest template and available, or clearly will not be."""

    def probe() -> None:
        for component in release.components:
            name, resource = release.name(component), release.resource(component)
            try:
                found = kube.get(resource, name, release.namespace)
            except NotFound:
                raise AssertionError(f"{name} has just gone") from None
            if not health.rolled_out(found) and not health.given_up(found):
                if cause := health.workload(kube, resource, name, release.namespace):
                    raise Unhealthy(cause)
                raise AssertionError(f"the rollout of {name} goes on")

    try:
        trial.wait.until(probe, LONGEST, what="the release's rollouts")
    except AssertionError as error:
        trial.note(f"the release's rollouts were not complete at the start: {error}")
