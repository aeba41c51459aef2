"""What is wrong with the service builder, a Celery worker."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from seatrial.kube import Kube
from seatrial.logs import Line
from seatrial.model_engine.discovery import Release
from seatrial.model_engine.health import broker, redis, words, workload
from seatrial.model_engine.health.words import Said
from seatrial.resources import DEPLOYMENTS
from seatrial.run import run_in
from seatrial.verdict import Cause, Refused

LABEL = "endpoint_name"
CLOCKS = 60.0
"""Seconds by which the clocks of a cluster's machines may differ."""
CONSUMER, TRACE = "celery.worker.consumer.consumer", "celery.app.trace"
_GOOD_END = re.compile(r"^Task \S+ succeeded")
_GOOD = (
    ("celery.apps.worker", re.compile(r"^\S+ ready\.")),
    ("celery.worker.strategy", re.compile(r"^Task \S+ received")),
    (TRACE, re.compile(r"^Task \S+ (succeeded|raised|retry)")),
)
_BAD = (
    (CONSUMER, re.compile(r"Cannot connect to ")),
    (CONSUMER, re.compile(r"Connection to broker lost")),
    ("celery.worker", re.compile(r"Unrecoverable error: ")),
)
_FORBIDDEN = re.compile(
    r'(\S+) is forbidden: User "(?P<user>[^"]+)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)" in API group '
    r'"(?P<group>[^"]*)"(?: in the namespace "(?P<namespace>[^"]+)")?'
)


def trouble(kube: Kube, release: Release, task: str = "") -> Cause | None:
    """Why nobody builds endpoints: no pod, no way to the broker; or why the build task with the id `task` failed."""
    if cause := workload.trouble(kube, release, "builder"):
        return cause
    before: dict[str, Said] = {}
    for one in words.said(kube, release, "builder"):
        if one.previous:
            before[one.pod] = one
        # One that was started anew and has not spoken yet: what its last run ended with.
        elif cause := disconnected(kube, release, one if last_word(one.lines) else before.get(one.pod, one)):
            return cause
        if task and (cause := failed(kube, release, one, task)):
            return cause
    return None


def last_word(lines: Iterable[Line]) -> tuple[Line, bool] | None:
    """The newest line that tells whether the worker takes tasks, and whether it does; None where none tells."""
    newest = None
    for line in lines:
        if any(line.name == name and shape.search(line.message) for name, shape in _GOOD):
            newest = line, True
        elif any(line.name == name and shape.search(line.message) for name, shape in _BAD):
            newest = line, False
    return newest


def disconnected(kube: Kube, release: Release, said: Said) -> Cause | None:
    """Why the worker takes no tasks, by its last word on that."""
    word = last_word(said.lines)
    if word is None or word[1]:
        return None
    text = f"{word[0].message}\n{word[0].exc_info}"
    quoted, look = (said.where, word[0].first), said.look(kube)
    if cause := words.known(kube, release, "builder", text, said, (word[0].first,)):
        return cause
    if cause := broker.told(text, "sqs", redis.cache(kube, release), quoted, look):
        return cause
    return Cause(
        f"builder.disconnected/{release.namespace}",
        f"the builder's worker takes no tasks: {word[0].first}",
        evidence=quoted,
        do="its log says what it waits for",
        look=look,
    )


def failed(kube: Kube, release: Release, said: Said, task: str) -> Cause | None:
    """Why the build task with the id `task` failed: what was raised, and what the Kubernetes API said before."""
    own: list[Line] = []
    for line in said.lines:
        if f"[{task}] received" in line.message:
            own = []
        own.append(line)
        if f"[{task}] raised unexpected" in line.message or f"[{task}] raised" in line.message:
            return _raised(kube, release, said, line, own)
    return None


def has_built(kube: Kube, release: Release, namespace: str) -> str:
    """The newest Deployment of somebody's endpoint that can only be from the builder's present run; empty without one.

    What runs of ours have made does not count, or it would depend on the order of the checks. By clocks of the cluster,
    which may differ by `CLOCKS`; of several builders nobody knows which one it was.
    """
    try:
        (pod,) = words.pods(kube, release, "builder")
        found = kube.list(DEPLOYMENTS, namespace, labels=LABEL, empty_ok=True)
    except (ValueError, Refused):
        return ""
    statuses = {one["name"]: one for one in pod.get("status", {}).get("containerStatuses") or []}
    began = statuses.get(release.container("builder"), {}).get("state", {}).get("running", {}).get("startedAt")
    made = {
        str(one["metadata"]["creationTimestamp"]): str(one["metadata"]["labels"][LABEL])
        for one in found
        if not run_in(one["metadata"]["labels"][LABEL])
    }
    newest = max(made, default="")
    if not began or not newest or _seconds(newest) - _seconds(began) <= CLOCKS:
        return ""
    return f"the endpoint {made[newest]} at {newest}, after its start at {began}"


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def without_redis(kube: Kube, release: Release) -> Cause | None:
    """What Redis answers to the builder, if its newest build failed by that; it writes what it has built there."""
    if "builder" not in release.components:
        return None
    for one in words.said(kube, release, "builder"):
        ends = [line for line in one.lines if line.name == TRACE]
        if ends and not _GOOD_END.search(ends[-1].message) and redis.is_of(ends[-1].exc_info):
            quoted = (one.where, ends[-1].exception or ends[-1].first)
            return redis.told(ends[-1].exc_info, redis.cache(kube, release), quoted, one.look(kube))
    return None


def _raised(kube: Kube, release: Release, said: Said, end: Line, own: list[Line]) -> Cause:
    errors = [one for one in own if one.level == "ERROR" and one.exc_info and one is not end]
    for one in [end, *reversed(errors)]:
        text = f"{one.message}\n{one.exc_info}"
        if found := _FORBIDDEN.search(text.replace('\\"', '"')):
            return _forbidden(kube, release, said, found)
        if cause := words.known(kube, release, "builder", text, said, (one.exception or one.first,)):
            return cause
    what = end.first.partition("raised unexpected: ")[2] or end.first
    return Cause(
        f"builder.failed/{release.namespace}",
        f"the builder could not build it: {what[:300]}",
        evidence=(said.where, *(str(one)[:300] for one in errors[-2:])),
        settle=0.0,
        do="its log says more",
        look=said.look(kube),
    )


def _forbidden(kube: Kube, release: Release, said: Said, found: re.Match[str]) -> Cause:
    where = f" in namespace {found['namespace']}" if found["namespace"] else ""
    rule = f'{{apiGroups: ["{found["group"]}"], resources: ["{found["resource"]}"], verbs: ["{found["verb"]}"]}}'
    return Cause(
        f"builder.forbidden/{release.namespace}",
        f"the builder may not {found['verb']} {found['resource']}{where}",
        evidence=(said.where, found[0]),
        settle=0.0,
        do=f"bind {found['user']} to a role with the rule {rule}; the chart binds it to cluster-admin",
        look=said.look(kube),
    )
