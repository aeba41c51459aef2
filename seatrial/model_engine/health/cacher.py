"""What is wrong with the cacher, which writes to Redis what the cluster says of the endpoints."""

from __future__ import annotations

from collections.abc import Sequence

from seatrial.kube import Kube
from seatrial.logs import Line
from seatrial.model_engine.discovery import Release
from seatrial.model_engine.health import builder, redis, words, workload
from seatrial.verdict import Cause

CYCLE = 15.0
"""Seconds from one look at the cluster to the next, in the product."""
LOGGER, DONE, READ = "k8s_cache", "Loop took", "Got data for"


def trouble(kube: Kube, release: Release) -> Cause | None:
    """Why endpoints' states do not come to the gateway: no pod, or what its log says of Redis."""
    if "cacher" not in release.components:
        return workload.missing(kube, release, "cacher")
    if cause := words.death(kube, release, "cacher"):
        # It may have come back since, and been well: then an old death explains nothing.
        return None if _well(kube, release) else cause
    return workload.trouble(kube, release, "cacher")


def silent(kube: Kube, release: Release) -> Cause | None:
    """Why no cycle ends, beyond `trouble`: a fresh cacher that gives no password to a Redis that wants one hangs."""
    if cause := trouble(kube, release) or builder.without_redis(kube, release):
        return cause
    for one in words.said(kube, release, "cacher"):
        if not one.previous and _hangs(one.lines):
            at = redis.cache(kube, release)
            return Cause(
                f"redis.noauth/{at}",
                f"the cacher reads the cluster and then says nothing: it waits for Redis at {at}, which most likely "
                "wants a password",
                evidence=(one.where, f"its last word is {one.lines[-1].first[:200]!r}"),
                certain=False,
                do="correct the password in the release's configuration, then restart gateway, builder and cacher",
                look=one.look(kube),
            )
    return None


def cycles(lines: Sequence[Line]) -> list[Line]:
    """The lines with which a cycle ended."""
    return [one for one in lines if one.name == LOGGER and one.message.startswith(DONE)]


def _well(kube: Kube, release: Release) -> bool:
    """Whether the present run of each pod has completed a cycle that found endpoints, or had none to write."""
    present = [one for one in words.said(kube, release, "cacher") if not one.previous]
    return bool(present) and all(cycles(one.lines) and not _hangs(one.lines) for one in present)


def _hangs(lines: Sequence[Line]) -> bool:
    """Whether a cycle has begun to write and has not ended since."""
    begun = max((number for number, one in enumerate(lines) if one.message.startswith(READ)), default=-1)
    ended = max((number for number, one in enumerate(lines) if one.message.startswith(DONE)), default=-1)
    return begun > ended
