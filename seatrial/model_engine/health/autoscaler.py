"""What is wrong with the Celery autoscaler, which scales the workers of async endpoints."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from seatrial.kube import Kube
from seatrial.logs import Line
from seatrial.model_engine.discovery import Release
from seatrial.model_engine.health import broker, redis, words, workload
from seatrial.model_engine.health.words import Said
from seatrial.verdict import Cause

DONE, FAILED = "Iteration length", "Error in deployment loop"
TIMES = 3
"""Passes in a row that end with an error: after so many the next will, too."""


def trouble(kube: Kube, release: Release) -> Cause | None:
    """Why it scales nothing: no pod, or an error in its loop; it goes on for ever with one, and its pods stay ready."""
    if cause := workload.trouble(kube, release, "autoscaler"):
        return cause
    for one in words.said(kube, release, "autoscaler"):
        if not one.previous and (cause := looping(kube, release, one)):
            return cause
    return None


def looping(kube: Kube, release: Release, said: Said) -> Cause | None:
    """The error that its loop ends with, if the newest pass did."""
    passes = (one for one in reversed(said.lines) if one.message.startswith((DONE, FAILED)))
    failed = list(itertools.takewhile(lambda one: one.message.startswith(FAILED), passes))
    if not failed:
        return None
    newest = failed[0]
    text = f"{newest.message}\n{newest.exc_info}"
    if cause := words.known(kube, release, "autoscaler", text, said, (newest.first,)):
        return cause
    if cause := broker.told(text, "sqs", redis.cache(kube, release), (said.where, newest.first), said.look(kube)):
        return cause
    return Cause(
        f"autoscaler.loop-error/{release.namespace}",
        f"the autoscaler's loop ends with an error each time: {newest.first.partition(': ')[2][:300] or newest.first}",
        evidence=(said.where, f"{len(failed)} in a row: {newest.exception}"),
        settle=0.0 if len(failed) >= TIMES else None,
        do="its log has the traceback",
        look=said.look(kube),
    )


def iterations(lines: Sequence[Line]) -> list[Line]:
    """The lines with which a pass of the loop ended well."""
    return [one for one in lines if one.message.startswith(DONE)]
