"""The broker's queues, seen from where the product uses them: a pod of ours prints what is in one as it goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from seatrial.kube import Kube
from seatrial.model_engine import places
from seatrial.model_engine.configuration import REDIS, Configuration, builder_queue
from seatrial.model_engine.discovery import Release, command, container
from seatrial.model_engine.objects import LEFT
from seatrial.model_engine.queue_services import QUEUE_SERVICES
from seatrial.model_engine.services import QUEUE
from seatrial.probe import Probe, Prober
from seatrial.trial import Trial
from seatrial.verdict import Blocked, Cause, NotJudged, Reason, Refused, Unhealthy

T = TypeVar("T")

EVERY = 2.0
"""Seconds between two looks of a pod of ours."""
FORGOTTEN = 75.0
"""Seconds for which SQS may still show a queue that was deleted (60 by its documentation)."""
PUT, TAKEN = 0, 3
"""The databases of a Redis broker that the released gateway puts async tasks into, and that forwarders take them from:
not the same, unless the image is patched."""
REDIS_DATABASES = (PUT, TAKEN)
UNACKED = "unacked"
"""The hash in each database of a Redis broker that has what anybody took from any queue there and is not done with: the
product's workers acknowledge late."""


@dataclass(frozen=True)
class Depth:
    """What is in a queue: `waiting` for somebody to take it, and `taken` by somebody and not done; None: unknown. Redis
    tells no more than whether anything at all is taken.

    `databases`: in which of Redis something waits. `together`: the broker counts what is taken as waiting, too.
    """

    exists: bool
    waiting: int = 0
    taken: int | None = None
    databases: tuple[int, ...] = ()
    together: bool = False

    @property
    def empty(self) -> bool:
        """Whether it is known that nothing is in it, with nobody."""
        return self.exists and (self.waiting, self.taken) == (0, 0)

    def __str__(self) -> str:
        if not self.exists:
            return "the queue does not exist"
        if self.together:
            return f"{self.waiting} waiting, or taken and not done"
        taken = "" if self.taken is None else f", {self.taken} taken and not done"
        where = f" in Redis database {', '.join(map(str, self.databases))}" if self.databases else ""
        return f"{self.waiting} waiting{where}{taken}"


@dataclass
class Queues:
    """Asks about queues by name. Nothing is started before somebody asks; `close` removes all pods.

    `called`: what our pods are called after.
    """

    trial: Trial
    kube: Kube
    release: Release
    configuration: Configuration
    called: str = "queue"
    _watches: dict[str, Watch] = field(default_factory=dict)

    @property
    def builder_queue(self) -> str:
        """Where the gateway puts create requests for the builder."""
        environment = places.plain_env(places.of_component(self.release, "gateway"))
        identifier, named = environment.get("SERVICE_IDENTIFIER"), environment.get("SERVICE_BUILDER_QUEUE")
        return builder_queue(identifier, named) if identifier or named else self.configuration.builder_queue

    @property
    def builder_listens(self) -> str:
        """The queues that the builder's own command line names; empty if it names none."""
        if "builder" not in self.release.components:
            return ""
        words = command(container(self.release.components["builder"], "builder")).split()
        return next((one.partition("=")[2] for one in words if one.startswith("--queues=")), "")

    def watch(self, queue: str) -> Watch:
        """What goes on in `queue`, from now until `close`. Raises `NotJudged` where nobody can look."""
        if queue not in self._watches:
            program, ask = self._question(queue)
            place = places.of_component(self.release, "gateway")
            longest = self.trial.settings.longest_check() / self.trial.settings.timeout_factor
            probe = Prober(self.trial, self.kube).start(self.called, place, program, (ask,), timeout=longest)
            configuration, databases = self.configuration, self._databases(queue)
            self._watches[queue] = Watch(
                self.trial, queue, probe, configuration.broker, databases, configuration.refused
            )
        return self._watches[queue]

    def close(self) -> None:
        """Ask for the removal of our pods; raises nothing."""
        for one in self._watches.values():
            one.probe.remove()
        self._watches.clear()

    def _question(self, queue: str) -> tuple[str, Mapping[str, Any]]:
        broker = self.configuration.broker
        if asked := QUEUE_SERVICES.get(broker):
            return asked.program, {"do": "depth", "queue": queue, "every": EVERY}
        if broker == REDIS:
            place = places.of_component(self.release, "gateway")
            redis = self.configuration.broker_redis(places.plain_env(place))
            if redis is None:
                raise NotJudged(Reason.SETTINGS, "nothing says where the Redis broker is", do="set redis_host")
            counts = ["LLEN", queue], ["HLEN", UNACKED]
            commands = [one for db in self._databases(queue) for one in (["SELECT", db], *counts)]
            token = {"token_env": "REDIS_AUTH_TOKEN"}
            return "redis_ask", {"url": redis.url, **token, "commands": commands, "every": EVERY}
        raise NotJudged(Reason.TOOL, f"no check of today looks into queues of {broker}")

    def _databases(self, queue: str) -> tuple[int, ...]:
        """Of a Redis broker, where `queue` may be."""
        return (PUT,) if queue == self.builder_queue else REDIS_DATABASES


@dataclass
class Watch:
    """One queue that a pod of ours looks at again and again.

    `databases`: where, if the broker is Redis. `refused`: why nobody knows whether the broker is that one.
    """

    trial: Trial
    queue: str
    probe: Probe
    broker: str
    databases: tuple[int, ...] = ()
    refused: Refused | Blocked | None = None

    def depths(self) -> list[Depth]:
        """What was seen so far, oldest first; none while the pod starts. `NotJudged` where the broker refuses us."""
        return [self._depth(one) for one in self.probe.lines()]

    def now(self) -> Depth:
        """What is seen next: the pod is waited for."""
        seen = len(self.probe.lines())

        def newest() -> Depth:
            found = self.depths()
            assert len(found) > seen, f"our pod has not looked into {self.queue} yet"
            return found[-1]

        return self._waited(newest, self.trial.settings.image_pull_timeout)

    def gone(self) -> None:
        """Return once there is no such queue. If it stays, or nobody can look, the end of the run deletes it.

        Raises `refused` where there is none: in another broker it may be.
        """

        def probe() -> None:
            found = self.depths()
            assert found, f"our pod has not looked into {self.queue} yet"
            last = found[-1]
            left = last.exists if self.broker in QUEUE_SERVICES else bool(last.waiting)
            if left:
                raise Unhealthy(self._left(last))
            if self.refused is not None:
                raise self.refused

        try:
            self._waited(probe, self.trial.settings.image_pull_timeout + FORGOTTEN)
        except (Blocked, Unhealthy):
            if self.broker in QUEUE_SERVICES:
                taken_over(self.trial, "" if self.refused else self.broker, self.queue)
            raise
        finally:
            self.probe.remove()

    def _waited(self, probe: Callable[[], T], timeout: float) -> T:
        """Not to have looked is no finding: `NotJudged`."""
        try:
            return self.trial.wait.until(probe, timeout, what=f"a look into {self.queue}")
        except Unhealthy as error:
            if error.cause.key.startswith("timeout/"):
                why = (error.cause.evidence or ("",))[-1]
                raise NotJudged(Reason.TOOL, f"the queue {self.queue} was not looked into: {why}") from None
            raise

    def _depth(self, line: Mapping[str, Any]) -> Depth:
        if not line["ok"]:
            said = f"{line['code']}: {line['said']}"
            raise NotJudged(
                Reason.TOOL,
                f"the queue {self.queue} cannot be looked into: {line['at']} answers {said}",
                source=self.probe.place.seen_from,
                do="the pre-flight checks of the broker say more",
            )
        if self.broker in QUEUE_SERVICES:
            return Depth(line["exists"], line.get("waiting", 0), line.get("taken", 0), together="taken" not in line)
        lengths = dict(zip(self.databases, line["replies"][1::3], strict=True))
        taken = None if any(line["replies"][2::3]) else 0  # who has taken it from which queue, it does not say
        return Depth(True, sum(lengths.values()), taken, tuple(db for db, length in lengths.items() if length))

    def _left(self, depth: Depth) -> Cause:
        return Cause(
            f"{LEFT}{self.queue}",
            f"the queue {self.queue} is left",
            evidence=(f"{self.broker}: {depth}", f"seen from {self.probe.place.seen_from}"),
            settle=FORGOTTEN,
            do="no API of the product deletes it any more: this run deletes it at its end"
            if self.broker in QUEUE_SERVICES
            else "no API of the product deletes it any more: delete it in the broker",
            look=QUEUE_SERVICES[self.broker].finds(self.queue) if self.broker in QUEUE_SERVICES else "",
        )


def taken_over(trial: Trial, broker: str, queue: str) -> None:
    """The queue is of an endpoint of ours, and the product has forgotten it: from now on it is the journal's.

    `broker`: empty where nobody knows it.
    """
    command = QUEUE_SERVICES[broker].deletes(queue) if broker else ""
    trial.journal.intend(QUEUE, queue, by_pod=True, type=command)
