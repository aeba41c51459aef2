"""One endpoint, from its create request to the last object that stood for it."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from seatrial.gpu import busy
from seatrial.model_engine import making, removal, unbuilt
from seatrial.model_engine.client import Contract, Object, terminal
from seatrial.model_engine.kinds import Kind
from seatrial.model_engine.ledger import Ledger
from seatrial.model_engine.making import Made, Values
from seatrial.model_engine.reasons import Reasons
from seatrial.model_engine.sight import Sight
from seatrial.model_engine.site import Site, gateways_log
from seatrial.steps import needed, step, tried
from seatrial.verdict import BadSettings, Blocked, Cause, NotApplicable, Unhealthy

BUILT_LATE = 60.0
"""Seconds that an endpoint which is to be deleted gets to be built first, where nobody waited for it."""


@dataclass
class Lifecycle:
    """`create`, `ready`, `delete`, `unlisted`, `gone` are steps: done once, remembered.

    `existing`: somebody else's endpoint (``--endpoint``), which is looked at and spoken to, and nothing else.
    """

    site: Site
    kind: Kind
    name: str
    existing: bool = False
    values: Values = lambda contract: {}
    """What its payload wants beside what every kind's does; whatever must hold before it is made is asserted there."""
    served_by: str = ""
    """By what it was seen that a worker serves, once `ready` is done."""
    when_listed: Callable[[str], None] | None = None
    """Told the endpoint's id as soon as that is known, long before a worker serves; must not raise."""
    _answered: float = -math.inf
    _deleted: float = 0.0
    _ledger: Ledger = field(init=False)
    _reasons: Reasons = field(init=False)

    def __post_init__(self) -> None:
        self._ledger = Ledger(Sight(self.site, self.kind, self.name))
        self._reasons = Reasons(self.sight, self.kind)

    @step
    def create(self) -> Made:
        """How the gateway took the create request."""
        if self.existing:
            raise NotApplicable(f"{self.name} exists and is not made by this run (--endpoint)")
        made = making.make(self.kind, self._ledger, self.values)
        self._answered = made.answered
        return made

    def request(self) -> None:
        """Create it and go on: how that ended is remembered for whoever asks."""
        with contextlib.suppress(Exception):
            self.create()

    @step
    def ready(self) -> Object:
        """The endpoint as the gateway lists it, READY and with a worker that serves."""
        began = time.monotonic()
        if not self.existing:
            made = needed(self.create)
            began = made.began
            self._reasons.task, self._reasons.since = made.task, began
        trial = self.site.trial
        timeout = getattr(trial.settings, self.kind.ready_timeout)
        try:
            found = trial.wait.until(self._look, timeout, what=f"{self.kind} endpoint", since=began)
        except Unhealthy as error:
            if self.kind.gpus and (taken := busy.told(error.cause, trial.settings.gpu_vendors)):
                raise taken from None
            raise
        seconds = time.monotonic() - began
        slow = getattr(trial.settings, self.kind.ready_warning) if self.kind.ready_warning else math.inf
        if seconds > slow * trial.settings.timeout_factor:
            trial.warn(f"{self.name} took {seconds:.0f} s to serve")
        return found

    @step
    def delete(self) -> Object:
        """The gateway's answer to the delete. An endpoint that nobody has built yet is waited for, but not for long."""
        self._refuse_to_delete()
        needed(self.create)
        if not self.sight.built():
            self._await_built()
        if not self.sight.handle:
            self.sight.look()
        assert self.sight.handle, f"{self.name} is not listed, so it has no id to be deleted by"
        built = self.sight.built()
        queue = "" if built else unbuilt.queue(self.sight, self.kind.name)
        self._ledger.write(id=self.sight.id, unbuilt=not built, queue=queue)
        self._deleted = time.monotonic()
        return self.sight.delete().expect(200).json()  # type: ignore[no-any-return]

    def dismiss(self) -> None:
        """Delete it and go on: how that ended is remembered for whoever asks."""
        if not self.site.trial.interrupted:
            with contextlib.suppress(Exception, NotApplicable):
                self.delete()

    @property
    def waited_for(self) -> bool:
        """Whether it was seen through to its end, well or not, that it should serve."""
        return tried(self, "ready")

    @step
    def unlisted(self) -> None:
        """The endpoint has left the list; each process of the gateway may show it until its memory has expired."""
        needed(self.delete)
        what, longest = f"{self.kind} endpoint off the list", self.site.memory + 2
        try:
            self.site.trial.wait.until(self.sight.off_the_list, longest, what=what, since=self._deleted, fixed=True)
        except Unhealthy as error:
            if not error.cause.key.startswith("timeout/"):
                raise
            raise Unhealthy(
                Cause(
                    f"model_engine.still-listed/{self.name}",
                    f"the gateway answered the delete of {self.name}, and goes on listing it",
                    evidence=(f"still listed {longest:g} s later; its processes remember for {self.site.memory:g} s",),
                    do="the gateway's log says whether the delete was performed",
                    look=gateways_log(self.site),
                )
            ) from None

    @step
    def gone(self) -> None:
        """Nothing of it is left in the cluster; what is terminating, and until when, is noted.

        Seeing none of its objects proves nothing unless they were seen before the delete: then it is *error*.
        """
        needed(self.unlisted)
        what = f"objects of the {self.kind} endpoint gone"
        terminating = self.site.trial.wait.until(
            lambda: self.sight.objects.gone(self.sight.id), 15, what=what, since=self._deleted
        )
        if not self.sight.objects_seen and not self._ledger.how.get("unbuilt"):
            if failed := terminal(self.sight.newest):
                raise Blocked(self._reasons.of_failed_build(failed))  # nothing was made, so nothing can be left
            raise BadSettings(
                f"none of the objects of {self.name} was seen in namespace {self.site.namespace} before its delete, "
                "so that nobody can say whether one is left",
                source=f"endpoint_namespace: {self.site.trial.settings.source('endpoint_namespace')}",
                do="name the namespace that the endpoints' pods are in",
            )
        if not self._ledger.how.get("unbuilt"):
            self._ledger.settle("gone")
        for line in terminating:
            self.site.trial.note(line)

    @step
    def freed(self) -> float:
        """Seconds after its delete when the last of its workers had ended, and with it what it held of a node.

        Each has its grace period for that, which is the product's own and may be 10 minutes, and one minute more.
        """
        needed(self.gone)
        left = self.sight.objects.workers()
        grace = max((one["spec"].get("terminationGracePeriodSeconds") or 30 for one in left), default=0)
        what = f"workers of the {self.kind} endpoint ended"
        try:
            self.site.trial.wait.until(self._ended, grace + 60, what=what, since=self._deleted, fixed=True)
        except Unhealthy as error:
            if not error.cause.key.startswith("timeout/"):
                raise
            raise Unhealthy(self._held(grace)) from None
        return time.monotonic() - self._deleted

    def _ended(self) -> None:
        left = [one["metadata"]["name"] for one in self.sight.objects.workers()]
        assert not left, f"{len(left)} of its pods have not ended: {', '.join(left)}"

    def _held(self, grace: float) -> Cause:
        kube, namespace = self.sight.objects.kube, self.site.namespace
        pods = [one["metadata"]["name"] for one in self.sight.objects.workers()]
        return Cause(
            f"model_engine.held/{self.name}",
            f"{self.name} was deleted, and its workers hold their GPUs past their grace period of {grace:g} s",
            evidence=tuple(f"pod {namespace}/{one} has not ended" for one in pods),
            do="see why its node's kubelet does not end it: describe pod and node",
            look=f"{kube.kubectl} -n {namespace} get pods -l endpoint_name={self.name} -o wide",
        )

    @property
    def sight(self) -> Sight:
        """What is seen of it."""
        return self._ledger.sight

    def clean_up(self) -> None:
        """Delete it unless that was done; trouble stays in the journal, for the end of the run."""
        trial = self.site.trial
        if trial.interrupted or trial.keep or self._ledger.entry is None:
            return
        try:
            removal.remove(self.site, self._ledger.entry)
        except Exception as error:
            trial.record.event("cleanup", name=self.name, trouble=str(error))
            return
        self._ledger.settle("gone")

    def __str__(self) -> str:
        return self.name

    def _look(self) -> Object:
        """The endpoint, once it is READY and serves; asserts how far it is, or raises the cause that keeps it."""
        try:
            return self._serving()
        except Unhealthy:
            raise
        except AssertionError as not_yet:
            self._reasons.explain(str(not_yet))
            raise

    def _serving(self) -> Object:
        pods_ready = self.sight.pods_ready()
        endpoint = self.sight.look(widely=pods_ready is not False)
        if not self.existing:
            self._ledger.keep_up()
        if self.sight.id and self.when_listed is not None:
            told, self.when_listed = self.when_listed, None
            told(self.sight.id)
        assert endpoint is not None, f"{self.name} is not listed yet"
        if cause := terminal(endpoint):
            raise Unhealthy(self._reasons.of_failed_build(cause))
        status = endpoint.get("status")
        assert status == "READY", f"status {status}"
        state = endpoint.get("deployment_state")
        workers = state.get("available_workers") if isinstance(state, dict) else None
        if pods_ready:
            self.served_by = self.kind.ready_means
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
        """Tasks go by another memory than the list: by id or name, in each process, and one filled it at the create."""
        if self.site.engine.contract is not Contract.RELEASED:
            return
        ask = self.site.engine.llm_endpoint if self.kind.by_name else self.site.engine.endpoint_by_id
        status = (ask(self.sight.handle) or {}).get("status", "not found")
        assert status == "READY", f"READY, but for tasks the gateway remembers it as {status}"
        left = self.site.memory - (time.monotonic() - self._answered)
        assert left <= 0, "READY, and the gateway's other processes may remember it otherwise for a moment"

    def _refuse_to_delete(self) -> None:
        if self.existing:
            raise NotApplicable(f"{self.name} is not this run's to delete (--endpoint)")
        if self.site.trial.keep:
            raise NotApplicable("--keep leaves it")

    def _await_built(self) -> None:
        """Where it was waited for already, only the gateway's memory can still mend what it says."""
        waited = tried(self, "ready")
        try:
            self.sight.await_built(self.site.memory + 2 if waited else BUILT_LATE, fixed=waited)
        except AssertionError as error:
            self.site.trial.warn(f"{self.name} is deleted before it was built: {error}")
