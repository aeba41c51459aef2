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
from seatrial.model_engine import removal
from seatrial.model_engine.client import ORDERS, Contract, Object, field_of, terminal
from seatrial.model_engine.health import builder as builder_health
from seatrial.model_engine.health import endpoint as endpoint_health
from seatrial.model_engine.objects import Objects
from seatrial.model_engine.removal import INITIALIZING, UNBUILT
from seatrial.model_engine.site import Site
from seatrial.steps import needed, step, tried
from seatrial.verdict import BadSettings, Cause, NotJudged, Refused, Unhealthy, Unreachable

LONGEST_OWNER = 24
"""Characters of the released gateway's column for who made a thing; an open gateway takes the token itself for that."""
_LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?")


@dataclass
class Lifecycle:
    """`create`, `ready`, `delete`, `unlisted`, `gone` are steps: done once, remembered. `kind`: ``sync``."""

    site: Site
    kind: str
    name: str
    served_by: str = ""
    """By what it was seen that a worker serves, once `ready` is done."""
    _began: float = 0.0
    _answered: float = 0.0
    _deleted: float = 0.0
    _id: str = ""
    _how: dict[str, Any] = field(default_factory=dict)
    _entry: Entry | None = None
    _newest: Object = field(default_factory=dict)
    _objects_seen: int = 0
    _orders: Any = field(default_factory=lambda: itertools.cycle(ORDERS))

    @step
    def create(self) -> Object:
        """The answer to the create request. What must hold before anything is made is looked at first."""
        refuse_unfit_token(self.site)
        bundle = self._bundle() if self.site.engine.contract is Contract.RELEASED else ""
        self._journal()
        self._began = time.monotonic()
        answer = self._ask(bundle)
        if answer is None:
            answer = self._ask(self._bundle())
        assert answer is not None, "the gateway wants a bundle's id, and refuses the one it gave"
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
        trial = self.site.trial
        timeout = trial.settings.endpoint_ready_timeout
        found = trial.wait.until(self._look, timeout, what=f"{self.kind} endpoint", since=self._began)
        seconds = time.monotonic() - self._began
        if seconds > trial.settings.endpoint_ready_warning * trial.settings.timeout_factor:
            trial.warn(f"{self.name} took {seconds:.0f} s to serve")
        return found

    @step
    def delete(self) -> Object:
        """The gateway's answer to the delete. An endpoint that nobody has built yet is waited for, but not for long."""
        needed(self.create)
        if not self._is_built():
            self._await_built()
        endpoint_id = self._known_id()
        self._journal(unbuilt=not self._is_built())
        self._deleted = time.monotonic()
        answer = self.site.engine.delete_endpoint(endpoint_id)
        return answer.expect(200).json()  # type: ignore[no-any-return]

    @step
    def unlisted(self) -> None:
        """The endpoint has left the list; each process of the gateway may show it until its memory has expired."""
        needed(self.delete)
        what, longest = f"{self.kind} endpoint off the list", self.site.memory + 2
        try:
            self.site.trial.wait.until(
                lambda: removal.off_the_list(self.site, self.name), longest, what=what, fixed=True
            )
        except Unhealthy as error:
            if not error.cause.key.startswith("timeout/"):
                raise
            raise Unhealthy(
                Cause(
                    f"model_engine.still-listed/{self.name}",
                    f"the gateway answered the delete of {self.name}, and goes on listing it",
                    evidence=(f"still listed {longest:g} s later; its processes remember for {self.site.memory:g} s",),
                    do="the gateway's log says whether the delete was performed",
                    look=self._gateways_log(),
                )
            ) from None

    @step
    def gone(self) -> list[str]:
        """Nothing of it is left in the cluster; what is terminating, and until when.

        Seeing none of its objects proves nothing unless they were seen before the delete: then it is *error*.
        """
        needed(self.unlisted)
        what = f"objects of the {self.kind} endpoint gone"
        terminating = self.site.trial.wait.until(
            lambda: self.objects.gone(self._id), 15, what=what, since=self._deleted
        )
        if not self._objects_seen and not self._how.get("unbuilt"):
            raise BadSettings(
                f"none of the objects of {self.name} was seen in namespace {self.site.namespace} before its delete, "
                "so that nobody can say whether one is left",
                source=f"endpoint_namespace: {self.site.trial.settings.source('endpoint_namespace')}",
                do="name the namespace that the endpoints' pods are in",
            )
        return terminating

    @cached_property
    def objects(self) -> Objects:
        """What stands for it in the cluster."""
        if self.site.kube is None:
            raise LookupError("there is no cluster to look at")
        return Objects(self.site.kube, self.site.namespace, self.name)

    def clean_up(self) -> None:
        """Delete it unless that was done; trouble stays in the journal, for the end of the run."""
        trial = self.site.trial
        if trial.interrupted or self._entry is None:
            return
        try:
            removal.remove(self.site, self._entry)
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
        endpoint = self._status(looking=pods_ready is not False)
        assert endpoint is not None, f"{self.name} is not listed yet"
        if cause := terminal(endpoint):
            raise Unhealthy(cause)
        status = endpoint.get("status")
        assert status == "READY", f"status {status}"
        state = endpoint.get("deployment_state")
        workers = state.get("available_workers") if isinstance(state, dict) else None
        if pods_ready:
            self.served_by = "its pod is ready"
        elif isinstance(workers, int):
            assert workers >= 1, "READY, but no worker is available"
            self.served_by = f"the gateway counts {workers} available"
            if pods_ready is False:
                self.served_by += f", though no ready pod of it was seen in namespace {self.site.namespace}"
        elif pods_ready is None:
            self.served_by = "to be proven by the echo: neither the gateway nor a cluster says"
        else:
            raise AssertionError("READY, but none of its pods is ready")
        self._remembered()
        return endpoint

    def _remembered(self) -> None:
        """Tasks go by another memory than the list: by id, in each process, and one filled it at the create."""
        if self.site.engine.contract is not Contract.RELEASED:
            return
        remembered = self.site.engine.endpoint_by_id(self._id) or {}
        status = remembered.get("status", "not found")
        assert status == "READY", f"READY, but for tasks the gateway remembers it as {status}"
        left = self.site.memory - (time.monotonic() - self._answered)
        assert left <= 0, "READY, and the gateway's other processes may remember it otherwise for a moment"

    def _status(self, *, looking: bool = True) -> Object | None:
        """The endpoint as listed; of what the gateway remembers, the newest counts.

        `looking`: ask by an order that was not asked for lately. Before its pods are ready one order is enough, and
        the others stay fresh for the moment that counts.
        """
        order = next(self._orders) if looking else ORDERS[-1]
        if self.site.engine.contract is not Contract.RELEASED:
            order = ""
        endpoint = self.site.engine.endpoint(self.name, order)
        if endpoint is not None:
            if str(endpoint.get("last_updated_at", "")) >= str(self._newest.get("last_updated_at", "")):
                self._newest = endpoint
            found, built = str(field_of(endpoint, "id")), self._newest.get("status") not in UNBUILT
            if (found, built) != (self._id, self._how.get("built", False)):
                self._id = found
                self._journal(id=found, built=built)
        return self._newest or None

    def _pods_ready(self) -> bool | None:
        """Whether one of its pods is ready; None where there is no cluster, or no right, to look."""
        if self.site.kube is None:
            return None
        try:
            return endpoint_health.serving(self.site.kube, self.site.namespace, self.name)
        except Refused:
            return None

    def _trouble(self, reason: str) -> Cause | None:
        """What the cluster knows of the reason that it is not ready: its pods, else who should have made them."""
        kube, release = self.site.kube, self.site.release
        if kube is None or release is None:
            return None
        with contextlib.suppress(Refused):
            if cause := endpoint_health.trouble(kube, self.site.namespace, self.name):
                return cause
            return builder_health.trouble(kube, release) if any(word in reason for word in UNBUILT) else None
        return None

    def _is_built(self) -> bool:
        """Whether the builder has done its work. INITIALIZING says too little: there the endpoint's objects tell."""
        if self.site.kube is not None and self._id:
            with contextlib.suppress(Refused):  # where we may not look, `gone` says so
                self._objects_seen = len(list(self.objects.all(self._id)))
        status = self._newest.get("status", UNBUILT[0])
        return status not in UNBUILT or (status == INITIALIZING and self._objects_seen > 0)

    def _await_built(self) -> None:
        """Wait until the builder has been at it: what it makes after a delete, no API can delete any more.

        Where it was waited for already, only the gateway's memory can still mend what it says.
        """
        waited = tried(self, "ready")
        longest = self.site.memory + 2 if waited else 60.0

        def built() -> None:
            endpoint = self._status()
            assert endpoint is not None, f"{self.name} is not listed yet"
            assert self._is_built(), f"status {endpoint.get('status')}"

        try:
            self.site.trial.wait.until(built, longest, what=f"{self.kind} endpoint built", fixed=waited)
        except AssertionError as error:
            self.site.trial.warn(f"{self.name} is deleted before it was built: {error}")

    def _gateways_log(self) -> str:
        """The command that shows it, where there is a cluster."""
        kube, release = self.site.kube, self.site.release
        if kube is None or release is None:
            return ""
        return f"{kube.kubectl} -n {release.namespace} logs deployment/{release.name('gateway')} --tail 200"

    def _known_id(self) -> str:
        if not self._id:
            self._status()
        assert self._id, f"{self.name} is not listed, so it has no id to be deleted by"
        return self._id

    # -- making -----------------------------------------------------------------------------------------------------

    def _ask(self, bundle: str) -> Object | None:
        """Send the create, and say in the journal whether it was answered: an answer may be lost, an endpoint not."""
        try:
            answer = self.site.engine.create_endpoint(self.name, self.kind, self.site.trial.run.id, bundle)
        except Refused:
            self._settle("never made")
            raise
        except Unhealthy:
            raise
        except AssertionError as error:
            self._journal(answered=True)
            raise Unhealthy(
                Cause(
                    f"model_engine.create/{self.name}",
                    str(error).splitlines()[0],
                    do="a 500 here is the broker or the database; the gateway's log names it",
                    look=self._gateways_log(),
                )
            ) from None
        self._answered = time.monotonic()
        self._journal(answered=True)
        return answer

    def _bundle(self) -> str:
        """The id of the bundle that every run reuses: no API deletes one."""
        engine, trial = self.site.engine, self.site.trial
        name = engine.bundle_name()
        found = engine.bundle(name)
        if found is None:
            entry = trial.journal.intend("bundle", name)
            found = engine.create_bundle(name)
            trial.journal.settled(entry, "kept")
            trial.note(f"the bundle {name} is kept, no API deletes one; the next run uses it again")
        if self._known_to_own_gateway(lambda own: own.knows_bundle(found)) is False:
            raise another_deployment(self.site)
        return found

    def _same_deployment_by_list(self) -> None:
        if self.site.engine.contract is Contract.DOCUMENTED:

            def known(own: Any) -> bool:
                return own.endpoint(self.name) is not None

            if self._known_to_own_gateway(known) is False:
                raise another_deployment(self.site)

    def _known_to_own_gateway(self, known: Any) -> bool | None:
        """Whether the context's own gateway knows what was just made; None, with a warning, if it cannot be asked."""
        if self.site.own_gateway is None:
            return None
        try:
            return bool(known(self.site.own_gateway))
        except (Refused, Unreachable, AssertionError) as error:
            self.site.trial.warn(f"not verified that gateway_url and the context belong together: {error}")
            return None

    def _journal(self, **how: Any) -> None:
        """Say in the journal what there is to remove, and how a user would do it."""
        self._how |= how
        self._how["type"] = removal.instructions(
            self.site, self.name, self._how.get("id", ""), self.objects if self.site.kube else None
        )
        self._entry = self.site.trial.journal.intend("endpoint", self.name, **self._how)

    def _settle(self, word: str) -> None:
        if self._entry is not None:
            self.site.trial.journal.settled(self._entry, word)
            self._entry = None


def refuse_unfit_token(site: Site) -> None:
    """`BadSettings` if the gateway is open and takes our token for a name that is too long, or no label."""
    if not site.engine.takes_any_token():
        return
    token = site.trial.settings.token.value().reveal()
    if len(token) > LONGEST_OWNER or not _LABEL.fullmatch(token):
        raise BadSettings(
            f"the gateway is open: it takes the token itself for the owner's name, and that must be a label of at most "
            f"{LONGEST_OWNER} characters; this one has {len(token)}",
            source=site.trial.settings.token.source,
            do="use a short word as the token, e.g. AUTH_TOKEN=smoke-tests",
        )


def another_deployment(site: Site) -> NotJudged:
    """What to raise when the gateway that was given does not belong to the cluster that was given."""
    settings = site.trial.settings
    return BadSettings(
        f"the gateway at {settings.gateway_url} belongs to another deployment than the context's: "
        "what was just made through it, the context's own gateway does not know",
        source=f"gateway_url: {settings.source('gateway_url')}",
        do="correct one of the two, or leave GATEWAY_URL away: the suite finds the context's gateway itself",
    )
