"""What was deleted before the builder had been at it: whether something of it may still appear.

The request stays in the builder's queue, and no API takes it back. Nothing appears any more once it has appeared, or
once nothing was left in that queue for a while.
"""

from __future__ import annotations

from contextlib import closing

from seatrial.journal import Entry
from seatrial.model_engine.configuration import Configuration
from seatrial.model_engine.depths import EVERY, Queues, Watch, taken_over
from seatrial.model_engine.queue_services import QUEUE_SERVICES
from seatrial.model_engine.sight import Sight
from seatrial.model_engine.site import Site
from seatrial.verdict import Blocked, NotJudged

DOUBT = "deleted before it was built: its objects may still appear"
SETTLES = 60.0
"""Seconds after which what SQS says of a queue holds: its numbers are approximate."""
PATIENCE = 30.0
"""Seconds more for our pod to start, and for a builder to get at what waits."""


def queue(sight: Sight, kind: str) -> str:
    """The queue that the builder will make for it; empty if it makes none."""
    return sight.queue if kind == "async" and sight.id else ""


def remember(site: Site, entry: Entry, unbuilt: bool) -> None:
    """In the journal, so that whoever settles it next knows."""
    if bool(entry.how.get("unbuilt")) is not unbuilt:
        entry.how["unbuilt"] = unbuilt
        site.trial.journal.intend(entry.kind, entry.name, **entry.how)


def has_appeared(site: Site, entry: Entry) -> None:
    """The builder has been at it after all: what it made can be removed, its queue by the journal."""
    remember(site, entry, False)
    configuration = _configuration(site)
    if entry.how.get("queue") and configuration.broker in QUEUE_SERVICES:
        taken_over(site.trial, "" if configuration.refused else configuration.broker, entry.how["queue"])


def must_stay_away(site: Site, entry: Entry, sight: Sight) -> None:
    """AssertionError while something of it may still appear, or has appeared; a sweep waits until that is known."""
    assert site.trial.unhurried, DOUBT
    assert site.kube is not None, DOUBT
    assert site.release is not None, DOUBT
    called = entry.name.removeprefix("seatrial-").removesuffix(f"-{site.trial.run.id}")
    configuration = _configuration(site)
    queues = Queues(site.trial, site.kube, site.release, configuration, called=f"queue-{called}")
    factor = site.trial.settings.timeout_factor
    with closing(queues):
        try:
            configuration.require()  # an empty queue in another broker says nothing
            watch = queues.watch(queues.builder_queue)
            is_there = site.trial.wait.until(
                lambda: _known(sight, watch, SETTLES * factor), SETTLES + PATIENCE, what=f"{entry.name} settled"
            )
        except (AssertionError, Blocked, NotJudged) as error:
            raise AssertionError(f"{DOUBT} ({error})") from None
    if is_there:
        has_appeared(site, entry)
    assert not is_there, "deleted before it was built, and its objects have appeared since"
    remember(site, entry, False)


def _known(sight: Sight, watch: Watch, seconds: float) -> bool:
    """Whether it has appeared; AssertionError while it neither has nor cannot any more."""
    if any(not one["metadata"].get("deletionTimestamp") for _, one in sight.objects.all(sight.id)):
        return True
    depths = watch.depths()
    assert depths, "nobody has looked into the builder's queue yet"
    assert depths[-1].empty, f"the builder's queue: {depths[-1]}"
    empty = next((n for n, depth in enumerate(reversed(depths)) if not depth.empty), len(depths))
    assert empty * EVERY >= seconds, f"the builder's queue is empty, for {empty * EVERY:g} s"
    return False


def _configuration(site: Site) -> Configuration:
    if site.kube is None or site.release is None:
        return Configuration()
    return Configuration.of_release(site.kube, site.release.components["gateway"])
