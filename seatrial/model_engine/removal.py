"""Removes what a run made: an endpoint through the gateway, with proof that it is gone. A bundle nobody can remove."""

from __future__ import annotations

from seatrial.journal import Entry
from seatrial.model_engine import site as sites
from seatrial.model_engine.client import ORDERS, Contract, Object
from seatrial.model_engine.objects import Objects
from seatrial.model_engine.site import Site
from seatrial.trial import Trial
from seatrial.verdict import Refused

INITIALIZING = "INITIALIZING"
"""The documented contract's one word for everything before READY."""
UNBUILT = ("UPDATE_PENDING", "UPDATE_IN_PROGRESS", INITIALIZING)
"""The builder has not been at it, or is: what it makes after a delete no API can delete any more."""
BUILT_WITHIN = 6.0
"""Seconds that a builder which is at it gets to finish; both are within `seatrial.cleanup.DEADLINE`."""
LOOKED_FOR = 12.0
"""Seconds for which an endpoint whose create was never answered is looked for."""


def remove_endpoint(trial: Trial, entry: Entry) -> None:
    """The cleaner of endpoints, with clients of its own."""
    with sites.opened(trial) as site:
        remove(site, entry)


def keep_bundle(trial: Trial, entry: Entry) -> None:
    """The cleaner of bundles: no API deletes one, and the next run uses it again."""


def remove(site: Site, entry: Entry) -> None:
    """Delete the endpoint of a journal entry; returns once it is gone. AssertionError says what is left, or unknown."""
    engine, wait = site.engine, site.trial.wait
    found = listed(site, entry.name)
    if found is None and not entry.how.get("answered"):
        found = _looked_for(site, entry)
    endpoint_id = str(entry.how.get("id") or (found or {}).get("id", ""))
    if endpoint_id:
        unbuilt = found is not None and not entry.how.get("built") and not _await_built(site, entry, endpoint_id)
        answer = engine.delete_endpoint(endpoint_id).expect(200, 404)
        if answer.status == 200:
            assert answer.json() == {"deleted": True}, f"the delete was answered with {answer.said}"
            assert not unbuilt, "deleted before it was built: its objects may still appear"
    wait.until(lambda: off_the_list(site, entry.name), site.memory + 2, what=f"{entry.name} off the list", fixed=True)
    if site.kube is not None:
        objects = Objects(site.kube, site.namespace, entry.name)
        try:
            wait.until(lambda: objects.gone(endpoint_id), 10, what=f"{entry.name} gone")
        except Refused as error:
            raise AssertionError(f"deleted, and not looked at what is left: {error.line}") from None
    assert not entry.how.get("unbuilt"), "deleted before it was built: its objects may still appear"


def listed(site: Site, name: str) -> Object | None:
    """The endpoint `name` as any of the gateway's memories has it, the newest; None if none of them has it."""
    found = [one for order in orders(site) if (one := site.engine.endpoint(name, order))]
    return max(found, key=lambda one: str(one.get("last_updated_at", "")), default=None)


def off_the_list(site: Site, name: str) -> None:
    """AssertionError while any of the gateway's memories has the endpoint `name`."""
    assert listed(site, name) is None, "still listed, perhaps from the gateway's memory"


def orders(site: Site) -> tuple[str, ...]:
    """The ways to ask for the list, each with a memory of its own; the documented contract has one."""
    return ("",) if site.engine.contract is Contract.DOCUMENTED else (*ORDERS, "")


def instructions(site: Site, name: str, endpoint_id: str, objects: Objects | None = None) -> str:
    """What a user types to remove an endpoint of ours that this run could not; the token stays in their shell.

    `objects`: the endpoint's, where there is a cluster; they know which kinds there are.
    """
    settings, kube, release = site.trial.settings, site.kube, site.release
    url = settings.gateway_url or "http://localhost:8080"
    lines = []
    if settings.gateway_url is None and kube is not None and release is not None:
        lines.append(
            f"{kube.kubectl} -n {release.namespace} port-forward svc/{release.service} 8080:{release.port} & sleep 3"
        )
    token = '-H "Authorization: Bearer $AUTH_TOKEN"'
    if endpoint_id:
        lines.append(f"curl -X DELETE {token} {url}/v1/model-endpoints/{endpoint_id}")
    else:
        lines.append(f"curl {token} '{url}/v1/model-endpoints?name={name}'")
        lines.append(f"curl -X DELETE {token} {url}/v1/model-endpoints/<its id>")
    if kube is not None and objects is not None:
        kinds = ",".join(str(kind) for kind in objects.kinds)
        lines.append(f"{kube.kubectl} -n {site.namespace} delete {kinds} -l endpoint_name={name}")
    return "\n".join(lines)


def _await_built(site: Site, entry: Entry, endpoint_id: str) -> bool:
    """Give the builder a moment to finish, so that nothing of the endpoint appears after its delete; whether it did."""

    def built() -> None:
        found = listed(site, entry.name) or {}
        status = found.get("status")
        if status == INITIALIZING and site.kube is not None:
            objects = list(Objects(site.kube, site.namespace, entry.name).all(endpoint_id))
            assert objects, "none of its objects is there yet"
        else:
            assert status not in UNBUILT, f"status {status}"

    try:
        site.trial.wait.until(built, BUILT_WITHIN, what=f"{entry.name} built", fixed=True)
    except AssertionError:
        return False
    return True


def _looked_for(site: Site, entry: Entry) -> Object | None:
    """Its create went out and was never answered: it may appear yet. AssertionError if it has not for a while."""

    def there() -> Object:
        found = listed(site, entry.name)
        assert found is not None, "its create was never answered: it may still appear"
        return found

    try:
        return site.trial.wait.until(there, LOOKED_FOR, what=f"{entry.name}, whose create was not answered", fixed=True)
    except AssertionError:
        raise AssertionError("its create was never answered, and it is not listed: it may still appear") from None
