"""Queues of ours that a run left: found by their names, deleted from where they were made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from seatrial import connect
from seatrial.journal import Entry
from seatrial.model_engine import ground as grounds
from seatrial.model_engine import services
from seatrial.model_engine.ground import Ground
from seatrial.model_engine.queue_services import QUEUE_SERVICES
from seatrial.model_engine.services import PREFIX, QUEUE
from seatrial.run import run_in
from seatrial.trial import Trial
from seatrial.verdict import NotApplicable


def remove(trial: Trial, entry: Entry) -> None:
    """The cleaner: returns once the broker has said that the queue is deleted, or that there is none."""
    with _ground(trial) as ground:
        delete(ground, entry)


def delete(ground: Ground, entry: Entry) -> None:
    """The queue of a journal entry, as `remove`; `NotApplicable` where the broker is another than it was made in."""
    guessed = entry.how.get("type") == ""  # nobody knew then which broker it is
    if guessed and ground.release is not None and ground.configuration.broker not in QUEUE_SERVICES:
        return  # now it is known, and has no queues
    services.queue(ground, "delete", entry.name)


def find(trial: Trial) -> Iterator[Entry]:
    """The finder: queues of any run of ours, where the release's broker is a queue service."""
    if not trial.writes:
        raise NotApplicable("to look for them takes a pod; with --delete they are looked for, too")
    with _ground(trial) as ground:
        if ground.release is None or ground.configuration.broker not in QUEUE_SERVICES:
            return
        found = services.queues(ground, f"{PREFIX}seatrial-")
        for name in found:
            yield Entry(QUEUE, name, {"run": run_in(name.removeprefix(PREFIX)), "answered": True, "by_pod": True})


@contextmanager
def _ground(trial: Trial) -> Iterator[Ground]:
    """The ground with a client of its own: at the end of a run there are no fixtures."""
    target = connect.target(trial)
    if not target.has_cluster:
        yield grounds.stand(trial, target, None)
        return
    with connect.kube(trial.settings, target, trial.record) as kube:
        yield grounds.stand(trial, target, kube)
