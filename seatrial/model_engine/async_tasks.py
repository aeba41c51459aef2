"""Async tasks of one endpoint: waited for until they are over, and why they are not when they are not."""

from __future__ import annotations

import contextlib
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from seatrial.health import pod_family
from seatrial.kube import NotFound
from seatrial.logs import lines
from seatrial.model_engine.depths import PUT, TAKEN, Depth, Queues
from seatrial.model_engine.health import config
from seatrial.model_engine.health import endpoint as endpoint_health
from seatrial.model_engine.sight import Sight
from seatrial.model_engine.tasks import Task, task
from seatrial.resources import PODS
from seatrial.steps import step
from seatrial.verdict import Blocked, Cause, NotJudged, Refused, Unhealthy

BEFORE, AFTER = 4, 4
"""Tasks sent before and after an idle time."""
FORWARDER, WORKER = "celery-forwarder", "main"
"""The containers of an async worker's pod: the one takes tasks from the queue and hands them to the other."""
OF_IDLENESS = ("servicebus.closed/", "servicebus.timeout/", "model_engine.async-unanswered/")
"""How the keys of causes begin that a connection may have which was lost while it idled."""


@dataclass
class AsyncTasks:
    """`queues` is None where there is no cluster to look from."""

    sight: Sight
    queues: Queues | None = None
    nonce: str = field(default_factory=lambda: f"seatrial-{secrets.token_hex(8)}")

    @step
    def answered(self) -> Task:
        """What the first task came to, which asks for `nonce`; done once, since nobody should wait twice for nobody."""
        return self.done({"nonce": self.nonce})

    def done(self, args: Any) -> Task:
        """What a new task with these arguments came to. `Unhealthy` if it is not over within `async_task_timeout`."""
        site, began = self.sight.site, time.monotonic()
        task_id = site.engine.async_task(self.sight.id, args)
        try:
            return site.trial.wait.until(
                lambda: self._over(task_id), site.trial.settings.async_task_timeout, what="async task", since=began
            )
        except Unhealthy as error:
            if error.cause.key.startswith("timeout/"):
                raise Unhealthy(self._unanswered(task_id, error.cause)) from None
            raise

    def survive_idle(self) -> None:
        """Tasks are answered after a while in which nobody asked anything of the endpoint, or of its connections.

        Several before and after: each of the gateway's processes has connections of its own. AssertionError for a task
        that fails, `Unhealthy` for one that the gateway cannot send, or that is not over; the cause is idleness where
        no other is certain.
        """
        trial = self.sight.site.trial
        for number in range(BEFORE):
            assert self.done({"nonce": f"{self.nonce}-before-{number}"}).succeeded, "a task before the idle time failed"
        trial.wait.idle(trial.settings.broker_idle, what="the broker's connections idle")
        for number in range(AFTER):
            nonce = f"{self.nonce}-after-{number}"
            try:
                echo = self.done({"nonce": nonce}).echo()
            except AssertionError as error:
                known = error.cause if isinstance(error, Unhealthy) else None
                if known and known.certain and not known.key.startswith(OF_IDLENESS):
                    raise  # what broke meanwhile is no matter of idleness
                raise Unhealthy(self._lost(number, error)) from None
            assert echo == {"nonce": nonce}, f"task {number + 1} after the idle time came back as {echo}"

    def _lost(self, number: int, error: AssertionError) -> Cause:
        idle = self.sight.site.trial.settings.broker_idle * self.sight.site.trial.wait.factor
        known = error.cause.evidence if isinstance(error, Unhealthy) else ()
        return Cause(
            f"servicebus.idle/{self.sight.name}",
            f"after {idle:.0f} s without one, task {number + 1} is lost, and those before were not: the broker parts "
            "with idle connections, and the release does not open them anew",
            evidence=(str(error).splitlines()[0][:300], *known),
            certain=False,
            do="run an image that keeps connections to Service Bus alive and tries again (azure-servicebus 7.14.3, the "
            "product's commit 9deb59f1); preflight/service_bus_pool_is_right says which setting applies",
        )

    def __str__(self) -> str:
        return self.sight.name

    def _over(self, task_id: str) -> Task:
        found = task(self.sight.site.engine.async_result(task_id))
        if not found.over:
            self._explain()
            raise AssertionError(f"status {found.status}")
        return found

    def _explain(self) -> None:
        site = self.sight.site
        if site.kube is not None:
            with contextlib.suppress(Refused):
                vendors = site.trial.settings.gpu_vendors
                if cause := endpoint_health.trouble(site.kube, site.namespace, self.sight.name, vendors):
                    raise Unhealthy(cause)

    def _unanswered(self, task_id: str, story: Cause) -> Cause:
        if cause := self._astray():
            return cause
        site, depth = self.sight.site, self._depth()
        kube = site.kube
        return Cause(
            f"model_engine.async-unanswered/{self.sight.name}",
            f"an async task of {self.sight.name} is not over: {story.line.partition(': ')[2]}; {where(depth)}",
            evidence=(
                f"task {task_id}: {story.evidence[-1] if story.evidence else 'never looked at'}",
                *([f"queue {self.sight.queue}: {depth}"] if depth else []),
                *self._last_words(),
            ),
            certain=depth is not None,
            do="the forwarder's log says whether it takes tasks, the worker's what it waits for",
            look=f"{kube.kubectl} -n {site.namespace} logs -l endpoint_name={self.sight.name} -c {FORWARDER} --tail 100"
            if kube
            else "",
        )

    def _astray(self) -> Cause | None:
        """The endpoints' copy of the configuration, where it sends tasks or results to where nobody looks."""
        site = self.sight.site
        if site.kube is None or site.release is None:
            return None
        with contextlib.suppress(NotJudged, AssertionError):
            return config.differing(site.kube, site.release, site.namespace)
        return None

    def _depth(self) -> Depth | None:
        if self.queues is None:
            return None
        try:
            return self.queues.watch(self.sight.queue).now()
        except (NotJudged, Blocked, AssertionError) as error:
            self.sight.site.trial.note(f"the queue {self.sight.queue} was not looked into: {error}")
            return None

    def _last_words(self) -> list[str]:
        """The last errors, else the last lines, of the containers of the worker's pods."""
        site, found = self.sight.site, []
        if site.kube is None:
            return []
        with contextlib.suppress(NotJudged):
            for pod in site.kube.list(PODS, site.namespace, labels=f"endpoint_name={self.sight.name}", empty_ok=True):
                for container in (FORWARDER, WORKER):
                    with contextlib.suppress(NotFound):
                        text = site.kube.logs(pod["metadata"]["name"], site.namespace, container=container, tail=50)
                        every = list(lines(text))
                        errors = [str(one) for one in every if one.level == "ERROR" and one.name != "asyncio"]
                        said = errors[-2:] or [str(one) for one in every[-1:]] or text.strip().splitlines()[-1:]
                        found += [f"{pod_family(pod)}, container {container}: {one[:300]}" for one in said]
        return found


def where(depth: Depth | None) -> str:
    """What the depth of the endpoint's queue says of a task that nobody answers."""
    if depth is None:
        return "its queue was not looked into"
    if not depth.exists:
        return "its queue does not exist"
    if depth.databases == (PUT,):
        return (
            f"the released product cannot do async with Redis for a broker: its gateway puts tasks into database {PUT}"
            f", where {depth.waiting} wait, its forwarders take them from {TAKEN}"
        )
    if depth.waiting and depth.together:
        return f"in its queue are {depth}"
    if depth.waiting:
        return f"{depth.waiting} wait in its queue, and nobody takes them"
    if depth.taken:
        return f"a worker has taken {depth.taken} from its queue, and does not finish"
    return "nothing waits in its queue: it was taken, and no result has come to the gateway"
