"""Kubernetes objects of ours: how they are known, made so that none is lost, and removed so that none of another's is.

An object of ours has our labels, an expiry, and a name that ends with the run's id. The labels alone give it away to
`python -m seatrial sweep`, from any machine.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from seatrial.journal import Entry
from seatrial.kube import ApiError, Conflict, Forbidden, Kube, NotFound, Object
from seatrial.resources import LEASES, PODS, SECRETS, Asked, Resource
from seatrial.run import Run
from seatrial.trial import Trial
from seatrial.verdict import NotJudged, Refused, Unreachable

MANAGED_BY, RUN, EXPIRES = "app.kubernetes.io/managed-by", "seatrial.dev/run", "seatrial.dev/expires"
SEATRIAL = "seatrial"
SELECTOR = f"{MANAGED_BY}={SEATRIAL}"
"""Selects what any run of ours has made."""

KINDS = (PODS, SECRETS, LEASES)
"""Of the objects that runs of ours make themselves."""
KIND = "object"
"""Of the journal's entries."""


@dataclass(frozen=True)
class Patience:
    """Seconds: both waits together are within `seatrial.cleanup.DEADLINE`."""

    looked_for: float = 12.0
    """For which an object is looked for whose create was not answered; a request is given up before that."""
    gone_within: float = 10.0
    """That a deleted object gets until it is called terminating."""
    overdue: float = 8.0
    """For which an object may be there after its grace period: who ends it has to tell the API server, too."""


PATIENCE = Patience()


def labels(run: Run) -> dict[str, str]:
    """What every object of `run` is labelled with."""
    return {MANAGED_BY: SEATRIAL, RUN: run.id}


def stamp(manifest: Object, trial: Trial) -> Object:
    """A copy of `manifest` that is this run's: labelled, with its expiry, and named ``seatrial-<what>-<run>``.

    The manifest's own name says *what*; one that is stamped already stays as it is.
    """
    made = copy.deepcopy(manifest)
    metadata: dict[str, Any] = made["metadata"]
    if not metadata["name"].endswith(f"-{trial.run.id}"):
        metadata["name"] = trial.run.name(metadata["name"])
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels(trial.run)}
    expires = datetime.fromtimestamp(trial.expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata["annotations"] = {**(metadata.get("annotations") or {}), EXPIRES: expires}
    return made


def create(kube: Kube, trial: Trial, resource: Resource, manifest: Object, *, patience: Patience = PATIENCE) -> Object:
    """The object as the API server stored it, stamped, and in the journal before the request goes out.

    Its namespace is the manifest's. When the answer is lost, the object is looked for by its name, which no other has;
    `Unreachable` if it does not appear: then it stays in the journal. Refusals are those of `Kube.create`.
    """
    with trial.whole():
        made = stamp(manifest, trial)
        entry = _intend(kube, trial, resource, made)
        namespace = made["metadata"].get("namespace", "")
        try:
            found = kube.create(resource, made, namespace)
        except Unreachable as lost:
            appeared = _looked_for(kube, trial, entry, patience.looked_for)
            if appeared is None:
                raise lost from None
            found = appeared
        except Conflict:
            raise  # there is one of this name: the journal keeps it, the end of the run looks whose it is
        except (ApiError, NotJudged):
            trial.journal.settled(entry, "never made")
            raise
        _intend(kube, trial, resource, made, answered=True)
        return found


def remove(kube: Kube, trial: Trial, resource: Resource, made: Object) -> None:
    """Ask for the removal of what `create` returned, for fixtures: raises nothing and does not wait.

    Whether it is gone is seen at the end of the run, by `settle`; after a signal, and with ``--keep``, nothing is done
    here.
    """
    if trial.interrupted or trial.keep:
        return
    try:
        kube.delete(resource, made)
    except NotFound:
        trial.journal.settled(_entry(kube, resource, made))
    except Exception as error:  # a finalizer that raises hides what the check found
        trial.record.event("cleanup", name=made["metadata"]["name"], trouble=str(error))


def settle(kube: Kube, trial: Trial, entry: Entry, *, patience: Patience = PATIENCE) -> list[str]:
    """The cleaner: remove the object of a journal entry; what is terminating still, and until when.

    AssertionError if it is left: it has no deletionTimestamp, or is past its grace period, by the API server's clock.
    """
    found = _find(kube, entry)
    if found is None and not entry.how.get("answered"):
        found = _looked_for(kube, trial, entry, patience.looked_for)
    if found is None:
        return []
    label, value = entry.how.get("label") or (RUN, trial.run.id)
    if (is_ := (found["metadata"].get("labels") or {}).get(label)) != value:
        raise LookupError(f"it is not of this run ({label}: {is_}), and stays")
    uid = found["metadata"]["uid"]
    with suppress(NotFound, Conflict):  # gone meanwhile, the name perhaps taken by another
        kube.delete(_resource(entry), found)

    def gone() -> None:
        now = _find(kube, entry)
        assert now is None or now["metadata"]["uid"] != uid, "it is still there"

    try:
        trial.wait.until(gone, patience.gone_within, what=f"{entry.name} gone", fixed=True)
    except AssertionError:
        return [terminating(kube, entry.name, found, patience.overdue)] if (found := _find(kube, entry)) else []
    return []


def find(kube: Kube, namespaces: Iterable[str]) -> Iterator[Entry]:
    """The finder: every object with our labels, of any run, in all namespaces, or in those where we may look.

    Raises `Refused` at the end if there is a kind that could be looked for nowhere.
    """
    refused = None
    for resource in KINDS:
        try:
            objects = kube.list(resource, labels=SELECTOR, empty_ok=True)
        except Forbidden as everywhere:
            objects = []
            try:
                for namespace in namespaces:
                    objects += kube.list(resource, namespace, labels=SELECTOR, empty_ok=True)
            except Forbidden as here:
                refused = here
            if not namespaces:
                refused = everywhere
        yield from (entry_of(kube, resource, one) for one in objects)
    if refused is not None:
        raise refused


def entry_of(kube: Kube, resource: Resource, one: Object, **how: Any) -> Entry:
    """The journal entry of an object that exists, for its removal."""
    metadata = one["metadata"]
    found = _entry(kube, resource, one)
    found.how.update(answered=True, run=(metadata.get("labels") or {}).get(RUN, ""), **how)
    if expires := (metadata.get("annotations") or {}).get(EXPIRES):
        found.how["expires"] = expires
    if metadata.get("deletionTimestamp"):
        found.how["ending"] = True
    if resource == LEASES:
        found.how["renewed"] = (one.get("spec") or {}).get("renewTime")
    return found


def terminating(kube: Kube, shown: str, one: Object, overdue: float = PATIENCE.overdue) -> str:
    """Until when a deleted object may take its time; AssertionError if it is *left*: past that, or never deleted."""
    metadata = one["metadata"]
    finalizers = ", ".join(metadata.get("finalizers") or ())
    holds = f"; its finalizers hold it: {finalizers}" if finalizers else ""
    stamped = metadata.get("deletionTimestamp")
    assert stamped, "its delete was answered and not performed"
    until = datetime.fromisoformat(stamped.replace("Z", "+00:00")) + timedelta(seconds=overdue)
    assert kube.now() < until, f"it should have ended at {stamped}{holds}"
    return f"{shown} is terminating, until {until:%H:%M:%S} UTC at the latest{holds}"


def _intend(kube: Kube, trial: Trial, resource: Resource, made: Object, **how: Any) -> Entry:
    entry = _entry(kube, resource, made)
    return trial.journal.intend(KIND, entry.name, **entry.how, **how)


def _entry(kube: Kube, resource: Resource, made: Object) -> Entry:
    name, namespace = made["metadata"]["name"], made["metadata"].get("namespace", "")
    where = f" -n {namespace}" if namespace else ""
    return Entry(
        KIND,
        Asked("delete", resource, namespace, name).object,
        {
            "version": resource.version,
            "plural": resource.plural,
            "namespaced": resource.namespaced,
            "namespace": namespace,
            "object": name,
            "type": f"{kube.kubectl}{where} delete {resource} {name}",
        },
    )


def _resource(entry: Entry) -> Resource:
    return Resource(entry.how["version"], entry.how["plural"], entry.how["namespaced"])


def _find(kube: Kube, entry: Entry) -> Object | None:
    try:
        return kube.get(_resource(entry), entry.how["object"], entry.how["namespace"])
    except NotFound:
        return None


def _looked_for(kube: Kube, trial: Trial, entry: Entry, seconds: float) -> Object | None:
    """The object of an entry whose create was not answered, once it appears; None if it does not for a while."""

    def there() -> Object:
        found = _find(kube, entry)
        assert found is not None, "its create was not answered, and it is not there"
        return found

    try:
        return trial.wait.until(there, seconds, what=entry.name, fixed=True)
    except (AssertionError, Refused, Unreachable):
        return None
