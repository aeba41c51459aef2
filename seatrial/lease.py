"""A run's sign of life in the cluster, for other machines: a Lease, renewed while the run goes on."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from seatrial import connect, ours
from seatrial.kube import ApiError, Kube, Object
from seatrial.payloads import payload
from seatrial.record import Record
from seatrial.resources import LEASES
from seatrial.trial import Trial
from seatrial.verdict import NotJudged

EVERY = 20.0
"""Seconds between two renewals."""
FRESH = timedelta(seconds=60)
"""A run whose Lease was renewed within this is alive."""
_NEVER = "2020-01-01T00:00:00Z"


@dataclass
class Lease:
    """The Lease of a run that writes, in the release's namespace; a thread of the controlling process renews it."""

    trial: Trial
    sweep: Callable[[str], str]
    """The command that removes what the run with an id has left."""

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> list[str]:
        """Make it; lines about the runs of others, or why nothing can be said of them. Raises nothing of its own."""
        target = connect.target(self.trial)
        namespace = self.trial.home or self.trial.settings.namespace or target.namespace
        if not target.has_cluster:
            return []
        if not namespace:
            return ["no Lease says that this run is alive: where the release is was not found"]
        # Its requests are no check's, whatever check runs while they are sent.
        record = Record(replace(self.trial.run, worker="lease"))
        trial = replace(self.trial, record=record)
        kube = connect.kube(trial.settings, target, record)
        try:
            others = kube.list(LEASES, namespace, labels=ours.SELECTOR, empty_ok=True)
            lines = [self._described(one, kube.now()) for one in others]
            made = ours.create(kube, trial, LEASES, self._manifest(namespace, kube.now()))
        except (NotJudged, ApiError) as error:
            kube.close()
            record.close()
            line = error.line if isinstance(error, NotJudged) else str(error)
            return [f"no Lease says that this run is alive, and runs of others are not seen: {line}"]
        self._thread = threading.Thread(target=self._renew, args=(kube, record, made), daemon=True)
        self._thread.start()
        return lines

    def end(self) -> None:
        """No renewal may follow; the Lease itself goes with the rest of the journal."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(1)  # longer only where the API server keeps it waiting

    def _renew(self, kube: Kube, record: Record, made: Object) -> None:
        while not self._over.wait(EVERY):
            with suppress(NotJudged, ApiError):  # the next one may be heard; if none is, the run counts as dead
                patch = {"spec": {"renewTime": _micro(kube.now())}}
                kube.patch(LEASES, made["metadata"]["name"], made["metadata"]["namespace"], patch)
        kube.close()
        record.close()

    def _described(self, lease: Object, now: datetime) -> str:
        spec = lease.get("spec") or {}
        run, renewed, host = run_of(lease), spec.get("renewTime"), spec.get("holderIdentity", "")
        seconds = (now - _time(renewed)).total_seconds()
        if is_fresh(renewed, now):
            return f"another run is alive: {run} on {host}, seen {max(0.0, seconds):.0f} s ago"
        ago = f"about {seconds / 60:.0f} min ago"
        return f"run {run} was ended by force {ago}, what it left is removed by: {self.sweep(run)}"

    def _manifest(self, namespace: str, now: datetime) -> Object:
        made: Object = payload(
            "lease", self.trial.settings.overlays, namespace=namespace, host=socket.gethostname(), now=_micro(now)
        )
        return made


def is_fresh(renewed: str | None, now: datetime) -> bool:
    """Whether the run is alive whose Lease was `renewed` then (RFC 3339), `now` by the API server's clock."""
    return now - _time(renewed) < FRESH


def run_of(lease: Object) -> str:
    """The run's id."""
    return str((lease["metadata"].get("labels") or {}).get(ours.RUN, ""))


def _time(renewed: str | None) -> datetime:
    return datetime.fromisoformat((renewed or _NEVER).replace("Z", "+00:00"))


def _micro(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
