"""Finds what runs of ours have left of their endpoints, of any run: in the gateway's list, and in the cluster."""

from __future__ import annotations

from collections.abc import Iterator

from seatrial import connect, ours
from seatrial.journal import Entry
from seatrial.model_engine import kinds
from seatrial.model_engine import site as sites
from seatrial.model_engine.ledger import instructions
from seatrial.model_engine.objects import KINDS
from seatrial.model_engine.sight import Sight
from seatrial.run import run_in
from seatrial.trial import Trial
from seatrial.verdict import Refused

ENDPOINTS = "endpoints"
OBJECTS = "what endpoints are made of"
LABEL = "endpoint_name"


def endpoints(trial: Trial) -> Iterator[Entry]:
    """The gateway's endpoints that are called as ours are; they are removed through the gateway."""
    with sites.opened(trial) as site:
        listed = {str(one.get("name", "")): one for one in (*site.engine.llm_endpoints(), *site.engine.endpoints())}
        for name, one in listed.items():
            if run_in(name):
                found = str(one.get("id", ""))
                sight = Sight(site, kinds.of_name(name), name, found)
                how = {"id": found, "answered": True, "type": instructions(sight)}
                if expires := (one.get("metadata") or {}).get("seatrial_expires"):
                    how["expires"] = expires
                yield Entry("endpoint", name, how)


def objects(trial: Trial) -> Iterator[Entry]:
    """What the product made in the cluster for an endpoint of ours, for the case that it does not remove it."""
    target = connect.target(trial)
    if not target.has_cluster:
        return
    with connect.kube(trial.settings, target, trial.record) as kube:
        for resource in KINDS:
            if not kube.serves(resource):
                continue
            try:
                found = kube.list(resource, labels=LABEL, empty_ok=True)
            except Refused:
                namespace = trial.settings.endpoint_namespace
                if namespace is None:
                    raise
                found = kube.list(resource, namespace, labels=LABEL, empty_ok=True)
            for one in found:
                name = one["metadata"]["labels"][LABEL]
                if not run_in(name):
                    continue
                entry = ours.entry_of(kube, resource, one, label=[LABEL, name], after=name, by=ENDPOINTS)
                entry.how["run"] = run_in(name)
                if one["metadata"].get("ownerReferences"):
                    entry.how["owned"] = OBJECTS
                yield entry
