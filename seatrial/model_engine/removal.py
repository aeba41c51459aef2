"""Removes what a run made: an endpoint through the gateway, with proof that it is gone. A bundle nobody can remove."""

from __future__ import annotations

from seatrial.journal import Entry
from seatrial.model_engine import kinds, making, unbuilt
from seatrial.model_engine import site as sites
from seatrial.model_engine.client import Object
from seatrial.model_engine.objects import LEFT
from seatrial.model_engine.sight import Sight
from seatrial.model_engine.site import Site
from seatrial.trial import Trial
from seatrial.verdict import Refused, Unhealthy

BUILT_WITHIN = 6.0
"""Seconds that a builder which is at it gets to finish; all waits are within `seatrial.cleanup.DEADLINE`."""


def remove_endpoint(trial: Trial, entry: Entry) -> None:
    """The cleaner of endpoints, with clients of its own."""
    with sites.opened(trial) as site:
        remove(site, entry)


def keep_bundle(trial: Trial, entry: Entry) -> None:
    """The cleaner of bundles: no API deletes one, and the next run uses it again."""


def remove(site: Site, entry: Entry) -> None:
    """Delete the endpoint of a journal entry; returns once it is gone. AssertionError says what is left, or unknown."""
    sight = Sight(site, kinds.of_name(entry.name), entry.name, str(entry.how.get("id", "")))
    wait = site.trial.wait
    found = sight.look_everywhere()
    if found is None and not entry.how.get("answered"):
        found = _looked_for(sight)
    sight.newest = found or {}
    sight.id = sight.id or str(sight.newest.get("id", ""))
    if sight.handle:
        if found is not None and not entry.how.get("built") and not _is_built(sight):
            entry.how["queue"] = unbuilt.queue(sight, str(found.get("endpoint_type")))
            unbuilt.remember(site, entry, True)
        answer = sight.delete().expect(200, 404)
        if answer.status == 200:
            assert answer.json() == {"deleted": True}, f"the delete was answered with {answer.said}"
            assert found is None or site.trial.unhurried or not entry.how.get("unbuilt"), unbuilt.DOUBT
    wait.until(sight.off_the_list, site.memory + 2, what=f"{entry.name} off the list", fixed=True)
    if site.kube is not None:
        try:
            wait.until(lambda: sight.objects.gone(sight.id), 10, what=f"{entry.name} gone")
        except Refused as error:
            raise AssertionError(f"deleted, and not looked at what is left: {error.line}") from None
        except Unhealthy as error:
            if error.cause.key.startswith(LEFT):
                unbuilt.has_appeared(site, entry)
            raise
    if entry.how.get("unbuilt"):
        unbuilt.must_stay_away(site, entry, sight)


def _is_built(sight: Sight) -> bool:
    """Give the builder a moment to finish, so that nothing of the endpoint appears after its delete; whether it did."""
    try:
        sight.await_built(BUILT_WITHIN, fixed=True)
    except AssertionError:
        return False
    return True


def _looked_for(sight: Sight) -> Object:
    """Its create went out and was never answered: it may appear yet. AssertionError if it has not for a while."""
    try:
        return making.looked_for(sight)
    except AssertionError:
        raise AssertionError("its create was never answered, and it is not listed: it may still appear") from None
