"""What is wrong with the gateway."""

from __future__ import annotations

import ast

from seatrial.kube import Kube
from seatrial.model_engine.discovery import Release
from seatrial.model_engine.health import broker, builder, cacher, defects, redis, words, workload
from seatrial.model_engine.health.signs import LONGEST, ending
from seatrial.verdict import Cause

UNHANDLED = "Unhandled exception"
SENDING = ("Error sending task to queue", "Broker send_task failed after retry")


def trouble(kube: Kube, release: Release) -> Cause | None:
    """Why the gateway has no ready pod."""
    return workload.trouble(kube, release, "gateway")


def failed(kube: Kube, release: Release, request_id: str) -> Cause | None:
    """Why the gateway answered a request with 500, by the line of its log that has the answer's ``request_id``.

    None where no such line is found, or its exception is none that we know.
    """
    if not request_id:
        return None
    for one in words.said(kube, release, "gateway"):
        sending = ""
        for line in one.lines:
            if line.message.startswith(SENDING):
                sending = f"{line.message}\n{line.exc_info}"
            if request_id not in line.message or not line.message.startswith(UNHANDLED):
                continue
            text = f"{_traceback(line.message)}\n{line.exc_info}".rstrip()
            evidence = (f"request {request_id}: {_last(text)}",)
            if sending and _last(sending) and _is_the_brokers(text):
                at, whole = redis.cache(kube, release), f"{sending}\n{text}"
                quoted, look = (one.where, sending.partition("\n")[0], *evidence), one.look(kube)
                if cause := defects.told("gateway", whole, release.namespace, quoted, look):
                    return cause
                return broker.told(whole, "sqs", at, quoted, look)
            return words.known(kube, release, "gateway", text, one, evidence)
    return None


def hangs(kube: Kube, release: Release) -> Cause:
    """Why a request is not answered while /healthz is: a fresh gateway waits for a Redis that wants a password.

    Certain where the cacher or the builder says so; else only suggested: the gateway itself says nothing.
    """
    for cause in (cacher.trouble(kube, release), builder.without_redis(kube, release)):
        if cause and cause.key.startswith("redis."):
            return cause
    at = redis.cache(kube, release)
    return Cause(
        f"redis.noauth/{at}",
        f"the gateway hangs while its /healthz answers: most likely Redis at {at} wants a password",
        evidence=("a gateway that gives Redis no password waits for ever, and says nothing",),
        certain=False,
        do="ask Redis with the release's own URL: pytest -m preflight -k redis",
        look=f"{kube.kubectl} -n {release.namespace} logs -l {release.labels('gateway')} --tail 50",
    )


def _traceback(message: str) -> str:
    """The traceback that the structured line carries: a dictionary as Python writes it."""
    try:
        structured = ast.literal_eval(message.partition(": ")[2])
    except (ValueError, SyntaxError):
        structured = None
    if isinstance(structured, dict):
        return str(structured.get("traceback") or structured.get("error") or "")
    return message


def _last(text: str) -> str:
    return ending(text).strip().partition("\n")[0][:LONGEST]


def _is_the_brokers(text: str) -> bool:
    """Whether the exception was raised while a task was sent."""
    return "send_task" in text or "kombu" in text or "celery" in text
