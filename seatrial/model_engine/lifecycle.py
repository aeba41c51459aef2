"""One echo endpoint of ours, from its create request to the last object that stood for it."""

from __future__ import annotations

import contextlib
import itertools
import re
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from seatrial.journal import Entry
from seatrial.kube import Kube
from seatrial.model_engine import health
from seatrial.model_engine.client import CACHED, ORDERS, Contract, ModelEngine, Object, terminal
from seatrial.model_engine.discovery import Release
from seatrial.model_engine.objects import Objects
from seatrial.steps import needed, step, tried
from seatrial.trial import Trial
from seatrial.verdict import BadSettings, Cause, NotJudged, Refused, Unhealthy

PENDING = ("UPDATE_PENDING", "INITIALIZING")
"""Nothing has been built yet, in either contract's word."""
LONGEST_OWNER = 24
"""Characters of the released gateway's column for who made a thing; an open gateway takes the token itself for that."""
_LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?")


@dataclass
class Place:
    """Where endpoints are made: the gateway's client, and the cluster as far as there is one to look at."""

    trial: Trial
    engine: ModelEngine
    kube: Kube | None = None
    release: Release | None = None
    own_gateway: ModelEngine | None = None
    """The gateway of the kubeconfig's context, where ``gateway_url`` names one that may be another's."""

    @property
    def namespace(self) -> str:
        """The endpoints' namespace."""
        return str(self.trial.settings.endpoint_namespace or "")


@dataclass
class Lifecycle:
    """`create`, `ready`, `delete` and `gone` are steps: done once, remembered. `kind`: ``sync`` (later ``async``)."""

    place: Place
    kind: str
    name: str
    served_by: str = ""
    """By what it was seen that a worker serves, once `ready` is done."""
    _began: float = 0.0
    _id: str = ""
    _entry: Entry | None = None
    _newest: Object = field(default_factory=dict)
    _orders: Any = field(default_factory=lambda: itertools.cycle(ORDERS))

    @step
    def create(self) -> Object:
        """The answer to the create request. What must hold before anything is made is looked at first."""
        engine, trial = self.place.engine, self.place.trial
        refuse_unfit_token(self.place)
        bundle = self._bundle() if engine.contract is Contract.RELEASED else ""
        self._journal()
        self._began = time.monotonic()
        try:
            answer = engine.create_endpoint(self.name, self.kind, trial.run.id, bundle)
            if answer is None:
                answer = engine.create_endpoint(self.name, self.kind, trial.run.id, self._bundle())
        except Refused:
            self._settle("never made")
            raise
        if answer is None:
            raise AssertionError("the gateway wants a bundle's id, and refuses the one it gave")
        self._same_deployment_by_list()
        return answer

    def request(self) -> None:
        """Create it and go on: how that ended is remembered for whoever asks."""
        with contextlib.suppress(Exception):
            self.create()

    @step
    def ready(self) -> Object:
        """The endpoint as the gateway lists it, READY and with a worker that serves."""
        needed(self.create)
        settings = self.place.trial.settings
        found = self.place.trial.wait.until(
            self._look, settings.endpoint_ready_timeout, what=f"{self.kind} endpoint", since=self._began
        )
        seconds = time.monotonic() - self._began
        if seconds > settings.endpoint_ready_warning * settings.timeout_factor:
            self.place.trial.warn(f"{self.name} took {seconds:.0f} s to serve")
        return found

    @step
    def delete(self) -> Object:
        """The gateway's answer to the delete. An endpoint that nobody has built yet is waited for, but not for long."""
        needed(self.create)
        if not tried(self, "ready"):
            self._built()
        endpoint_id = self._known_id()
        if self._newest.get("status") in PENDING:
            self._journal(id=endpoint_id, unbuilt=True)
        answer = self.place.engine.delete_endpoint(endpoint_id)
        return answer.expect(200).json()  # type: ignore[no-any-return]

    @step
    def unlisted(self) -> None:
        """The endpoint has left the list; each process of the gateway may show it until its memory has expired."""
        needed(self.delete)
        what = f"{self.kind} endpoint off the list"
        try:
            self.place.trial.wait.until(self._not_listed, CACHED + 2, what=what)
        except AssertionError as error:
            raise Unhealthy(
                Cause(
                    f"model_engine.still-listed/{self.name}",
                    f"the gateway answered the delete of {self.name}, and goes on listing it",
                    evidence=(f"still listed {CACHED + 2:g} s later; its processes remember for {CACHED:g} s",),
                    do="the gateway's log says whether the delete was performed",
                )
            ) from error

    @step
    def gone(self) -> list[str]:
        """Nothing of it is left in the cluster; what is terminating, and until when."""
        needed(self.unlisted)
        what = f"objects of the {self.kind} endpoint gone"
        return self.place.trial.wait.until(lambda: self.objects.gone(self._id), CACHED, what=what)

    @cached_property
    def objects(self) -> Objects:
        """What stands for it in the cluster, where there is one."""
        if self.place.kube is None:
            raise LookupError("there is no cluster to look at")
        return Objects(self.place.kube, self.place.namespace, self.name)

    def clean_up(self) -> None:
        """Delete it unless that was done; trouble stays in the journal, for the end of the run."""
        trial = self.place.trial
        if trial.interrupted or self._entry is None:
            return
        try:
            remove(self.place, self._entry)
        except Exception as error:
            trial.record.event("cleanup", name=self.name, trouble=str(error))
            return
        self._settle("gone")

    def __str__(self) -> str:
        return self.name

    # -- looking ----------------------------------------------------------------------------------------------------

    def _look(self) -> Object:
        """The endpoint, once it is READY and serves; asserts how far it is, or raises the cause that keeps it."""
        try:
            return self._serving()
        except Unhealthy:
            raise
        except AssertionError as not_yet:
            if cause := self._trouble(str(not_yet)):
                raise Unhealthy(cause) from None
            raise

    def _serving(self) -> Object:
        pods_ready = self._pods_ready()
        endpoint = self._status(looking=pods_ready or self.place.kube is None)
        assert endpoint is not None, f"{self.name} is not listed yet"
        if cause := terminal(endpoint):
            raise Unhealthy(cause)
        status = endpoint.get("status")
        assert status == "READY", f"status {status}"
        workers = (endpoint.get("deployment_state") or {}).get("available_workers")
        if pods_ready:
            self.served_by = "its pod is ready"
        elif workers is not None:
            assert workers >= 1, "READY, but no worker is available"
            self.served_by = f"the gateway counts {workers} available"
        elif self.place.kube is None:
            self.served_by = "to be proven by the echo: neither the gateway nor a cluster says"
        else:
            raise AssertionError("READY, but none of its pods is ready")
        self._remembered()
        return endpoint

    def _remembered(self) -> None:
        """Tasks go by another memory than the list: by id, and the process that took the create filled it then."""
        if self.place.engine.contract is Contract.RELEASED:
            remembered = self.place.engine.endpoint_by_id(self._id) or {}
            status = remembered.get("status", "not found")
            assert status == "READY", f"READY, but for tasks the gateway remembers it as {status}"

    def _status(self, *, looking: bool = True) -> Object | None:
        """The endpoint as listed; of what the gateway remembers, the newest counts.

        `looking`: ask by an order that was not asked for lately. Before its pods are ready one order is enough, and
        the others stay fresh for the moment that counts.
        """
        order = next(self._orders) if looking else ORDERS[-1]
        if self.place.engine.contract is not Contract.RELEASED:
            order = ""
        endpoint = self.place.engine.endpoint(self.name, order)
        if endpoint is not None:
            if not self._id:
                self._id = str(endpoint["id"])
                self._journal(id=self._id)
            if str(endpoint.get("last_updated_at", "")) >= str(self._newest.get("last_updated_at", "")):
                self._newest = endpoint
        return self._newest or None

    def _pods_ready(self) -> bool:
        if self.place.kube is None:
            return False
        try:
            health.serving(self.place.kube, self.place.namespace, self.name)
        except AssertionError:
            return False
        return True

    def _trouble(self, reason: str) -> Cause | None:
        """What the cluster knows of the reason that it is not ready: its pods, else who should have made them."""
        kube, release = self.place.kube, self.place.release
        if kube is None or release is None:
            return None
        if cause := health.endpoint(kube, self.place.namespace, self.name):
            return cause
        return health.builder(kube, release) if any(word in reason for word in PENDING) else None

    def _built(self) -> None:
        """Wait until the builder has been at it: what it makes after a delete, no API can delete any more."""

        def built() -> None:
            endpoint = self._status()
            assert endpoint is not None, f"{self.name} is not listed yet"
            assert endpoint.get("status") not in PENDING, f"status {endpoint.get('status')}"

        try:
            self.place.trial.wait.until(built, 60, what=f"{self.kind} endpoint built")
        except AssertionError as error:
            self.place.trial.warn(f"{self.name} is deleted before it was built: {error}")

    def _journal(self, **how: Any) -> None:
        """Say in the journal what there is to remove, and how a user would do it."""
        how["type"] = removal(self.place, self.name, how.get("id", ""))
        self._entry = self.place.trial.journal.intend("endpoint", self.name, **how)

    def _settle(self, word: str) -> None:
        if self._entry is not None:
            self.place.trial.journal.settled(self._entry, word)
            self._entry = None

    def _known_id(self) -> str:
        if not self._id:
            self._status()
        assert self._id, f"{self.name} is not listed, so it has no id to be deleted by"
        return self._id

    def _not_listed(self) -> None:
        engine = self.place.engine
        for order in ("", *ORDERS) if engine.contract is Contract.RELEASED else ("",):
            assert engine.endpoint(self.name, order) is None, "still listed, perhaps from the gateway's memory"

    # -- making -----------------------------------------------------------------------------------------------------

    def _bundle(self) -> str:
        """The id of the bundle that every run reuses: no API deletes one."""
        engine, journal = self.place.engine, self.place.trial.journal
        name = engine.bundle_name()
        found = engine.bundle(name)
        if found is None:
            entry = journal.intend("bundle", name)
            found = engine.create_bundle(name)
            journal.settled(entry, "kept")
        own = self.place.own_gateway
        if own is not None and not own.knows_bundle(found):
            raise another_deployment(self.place)
        return found

    def _same_deployment_by_list(self) -> None:
        own = self.place.own_gateway
        if own is None or self.place.engine.contract is Contract.RELEASED:
            return
        if own.endpoint(self.name) is None:
            raise another_deployment(self.place)


def refuse_unfit_token(place: Place) -> None:
    """`BadSettings` if the gateway is open and takes our token for a name that is too long, or no label."""
    if not place.engine.takes_any_token():
        return
    token = place.trial.settings.token.value().reveal()
    if len(token) > LONGEST_OWNER or not _LABEL.fullmatch(token):
        raise BadSettings(
            f"the gateway is open: it takes the token itself for the owner's name, and that must be a label of at most "
            f"{LONGEST_OWNER} characters; this one has {len(token)}",
            source=place.trial.settings.token.source,
            do="use a short word as the token, e.g. AUTH_TOKEN=seatrial",
        )


def another_deployment(place: Place) -> NotJudged:
    """What to raise when the gateway that was given does not belong to the cluster that was given."""
    settings = place.trial.settings
    return BadSettings(
        f"the gateway at {settings.gateway_url} belongs to another deployment than the context's: "
        "what was just made through it, the context's own gateway does not know",
        source=f"gateway_url: {settings.source('gateway_url')}",
        do="correct one of the two, or leave GATEWAY_URL away: the suite finds the context's gateway itself",
    )


def removal(place: Place, name: str, endpoint_id: str) -> str:
    """What a user types to remove an endpoint of ours that this run could not; the token stays in their shell."""
    settings, kube, release = place.trial.settings, place.kube, place.release
    lines = []
    if endpoint_id:
        url = settings.gateway_url or "http://localhost:8080"
        if settings.gateway_url is None and kube is not None and release is not None:
            forward = f"port-forward svc/{release.service} 8080:{release.port}"
            lines.append(f"{kube.kubectl} -n {release.namespace} {forward} &")
        lines.append(f'curl -X DELETE -H "Authorization: Bearer $AUTH_TOKEN" {url}/v1/model-endpoints/{endpoint_id}')
    if kube is not None:
        kinds = "deployments,services,configmaps,hpa,pdb"
        lines.append(f"{kube.kubectl} -n {place.namespace} delete {kinds} -l endpoint_name={name}")
    return "; ".join(lines)


def remove(place: Place, entry: Entry) -> None:
    """Delete the endpoint of a journal entry and return once it is gone; AssertionError, saying what is left."""
    engine, trial = place.engine, place.trial
    orders = (*ORDERS, "") if engine.contract is Contract.RELEASED else ("",)
    listed = [one for order in orders if (one := engine.endpoint(entry.name, order))]
    if listed:
        pending = listed[0].get("status") in PENDING
        answer = engine.delete_endpoint(str(listed[0]["id"])).expect(200, 404)
        if answer.status == 200:
            body = answer.json()
            assert body == {"deleted": True}, f"the delete was answered with {answer.said}"
            assert not pending, "deleted before it was built: its objects may still appear"
    if kube := place.kube:
        endpoint_id = str(listed[0]["id"] if listed else entry.how.get("id", ""))
        objects = Objects(kube, place.namespace, entry.name)
        trial.wait.until(lambda: objects.gone(endpoint_id), 10, what=f"{entry.name} gone")
    assert not entry.how.get("unbuilt"), "deleted before it was built: its objects may still appear"
