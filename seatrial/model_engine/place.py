"""Where endpoints are made, put together from settings: for the fixtures step by step, for the clean-up all at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from seatrial import connect
from seatrial.journal import Entry
from seatrial.kube import Kube
from seatrial.model_engine import gateway, lifecycle
from seatrial.model_engine.client import ModelEngine
from seatrial.model_engine.discovery import Release, discover
from seatrial.model_engine.lifecycle import Place
from seatrial.target import Target
from seatrial.trial import Trial


def release(trial: Trial, target: Target, kube: Kube | None) -> Release | None:
    """The release under test, its findings in the settings; None without a cluster."""
    if kube is None:
        return None
    found = discover(kube, trial.settings, target.namespace)
    trial.settings = trial.settings.discovered(found.found)
    return found


@contextmanager
def place(trial: Trial, engine: ModelEngine, kube: Kube | None, release: Release | None) -> Iterator[Place]:
    """`engine` is asked for endpoints; where its address was given, the context's own gateway is at hand to compare."""
    if kube is None or release is None or trial.settings.gateway_url is None:
        yield Place(trial, engine, kube, release)
        return
    with gateway.forwarded(trial.settings, trial.record, kube, release) as http:
        yield Place(trial, engine, kube, release, ModelEngine(http, trial.settings))


def remove_endpoint(trial: Trial, entry: Entry) -> None:
    """Remove what a journal entry stands for, with clients of its own: at the end of a run there are no fixtures."""
    target = connect.target(trial)
    with ExitStack() as stack:
        kube = stack.enter_context(connect.kube(trial.settings, target, trial.record)) if target.has_cluster else None
        found = release(trial, target, kube)
        http = stack.enter_context(gateway.reach(trial.settings, target, trial.record, kube, found))
        lifecycle.remove(Place(trial, ModelEngine(http, trial.settings), kube, found), entry)
