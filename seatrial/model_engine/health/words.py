"""What the containers of a component have said: their logs as JSON lines, and the last words of those that died."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from seatrial import logs
from seatrial.kube import Kube, NotFound, Object
from seatrial.logs import Line
from seatrial.model_engine.discovery import Release
from seatrial.model_engine.health import broker, database, defects, redis, signs
from seatrial.resources import PODS
from seatrial.verdict import Cause

TAIL = 1000
"""Lines that are read where the newest are enough."""


@dataclass(frozen=True)
class Said:
    """The log of one container; `previous`: of its run before the present one."""

    pod: str
    namespace: str
    container: str
    text: str
    previous: bool = False

    @property
    def lines(self) -> tuple[Line, ...]:
        """Its JSON lines, oldest first."""
        return tuple(logs.lines(self.text))

    @property
    def where(self) -> str:
        """As evidence names it."""
        return f"pod {self.namespace}/{self.pod}, container {self.container}{' (previous)' if self.previous else ''}"

    def look(self, kube: Kube) -> str:
        """The command that shows it."""
        previous = " --previous" if self.previous else ""
        return f"{kube.kubectl} -n {self.namespace} logs {self.pod} -c {self.container}{previous} --tail 100"

    def death(self) -> str:
        """What ended it: the text of the last logged exception, else of the last traceback that no logger caught."""
        for line in reversed(self.lines):
            if line.level in ("ERROR", "CRITICAL") and (line.exc_info or "Unrecoverable error" in line.message):
                return f"{line.message}\n{line.exc_info}"
        rest = "\n".join(logs.raw(self.text))
        return rest if signs.ending(rest) != rest else ""


def pods(kube: Kube, release: Release, component: str) -> list[Object]:
    """The component's pods that are not on their way out."""
    found = kube.list(PODS, release.namespace, labels=release.labels(component), empty_ok=True)
    return [one for one in found if not one["metadata"].get("deletionTimestamp")]


def said(kube: Kube, release: Release, component: str, *, tail: int | None = TAIL) -> Iterator[Said]:
    """The logs of the component's containers, of each pod the run before first; those without one are left out."""
    container = release.container(component)
    for pod in pods(kube, release, component):
        statuses = {one["name"]: one for one in pod.get("status", {}).get("containerStatuses") or []}
        runs = [True] if statuses.get(container, {}).get("restartCount") else []
        for previous in [*runs, False]:
            name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
            try:
                text = kube.logs(name, namespace, container=container, previous=previous, tail=tail)
            except NotFound:
                continue
            yield Said(name, namespace, container, text, previous)


def known(kube: Kube, release: Release, component: str, text: str, at: Said, evidence: Iterable[str]) -> Cause | None:
    """The cause that an exception's `text` tells of, whatever it is of."""
    quoted = (at.where, *(one for one in evidence if one))
    look = at.look(kube)
    if cause := defects.told(component, text, release.namespace, quoted, look):
        return cause
    if redis.is_of(text):
        return redis.told(text, redis.cache(kube, release), quoted, look)
    return database.told(text, f"{release.namespace}/{release.fullname}", quoted, look)


def death(kube: Kube, release: Release, component: str) -> Cause | None:
    """Why the component's containers die, by the last words of one that did."""
    for one in said(kube, release, component):
        if not (text := one.death()):
            continue
        last = signs.ending(text).strip().splitlines()[0]
        if cause := known(kube, release, component, text, one, (last,)):
            return cause
        if "Unrecoverable error" not in text and "botocore" not in text:
            continue
        if cause := broker.told(text, "sqs", redis.cache(kube, release), (one.where, last), one.look(kube)):
            return cause
    return None
