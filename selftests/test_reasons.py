"""Why an endpoint is not there yet, told by a gateway's word and by logs: the product's own defect, Redis' refusal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from logged import NAMESPACE, REDIS, Logged, line
from scripted import Scripted
from test_lifecycle import NAME, Gateway

from seatrial.http import Http
from seatrial.model_engine.client import ModelEngine
from seatrial.model_engine.configuration import Configuration
from seatrial.model_engine.depths import Queues
from seatrial.model_engine.kinds import KINDS
from seatrial.model_engine.reasons import Reasons
from seatrial.model_engine.sight import Sight
from seatrial.model_engine.site import Site
from seatrial.record import Record
from seatrial.run import Run
from seatrial.settings import Settings
from seatrial.trial import Trial
from seatrial.verdict import Cause, Unhealthy

NO_REGION = "botocore.exceptions.NoRegionError: You must specify a region."
FALLBACK = Cause("fallback", "the gateway gives no reason")


@pytest.fixture
def sight(logged: Logged, tmp_path: Path) -> Iterator[Sight]:
    """Nobody has said anything yet, and all runs."""
    for component in ("gateway", "builder", "cacher"):
        logged.say(component)
        logged.say(component, previous=True)
        logged.status(component)
    given = ["timeout_factor=0.01", "endpoint_namespace=endpoints"]
    settings, run = Settings.load({"set": given}, {"AUTH_TOKEN": "t"}, tmp_path), Run("t5k2m9x7qd", tmp_path / "run")
    record = Record(run)
    with Scripted(Gateway()) as server:
        http = Http(server.url, record=record, token=settings.token, timeout=5, source="test", seen_from="here")
        trial = Trial(run, settings, record)
        yield Sight(Site(trial, ModelEngine(http, settings), logged.kube, logged.release), NAME, "end_1")
        http.close()
    record.close()


def build_fails(logged: Logged, exception: str) -> None:
    """In the builder's log, under the id of our task."""
    said = f"Traceback (most recent call last):\n{exception}"
    logged.say(
        "builder",
        line("Task build_endpoint[t] received", "celery.worker.strategy"),
        line("Failed endpoint build process!", "live_endpoint_builder_service", "ERROR", said),
        line("Task build_endpoint[t] raised unexpected: X()", "celery.app.trace", "ERROR", said),
    )


def of_build(sight: Sight, kind: str, cloud: str) -> Cause:
    """What a failed build of `kind` is told as on `cloud`."""
    site = sight.site
    assert site.kube is not None
    assert site.release is not None
    site.queues = Queues(site.trial, site.kube, site.release, Configuration(infra={"cloud_provider": cloud}))
    return Reasons(sight, KINDS[kind], task="t").of_failed_build(FALLBACK)


@pytest.mark.parametrize("cloud", ["gcp", "onprem"])
def test_a_queue_that_the_released_builder_cannot_make_is_its_own_defect(
    logged: Logged, sight: Sight, cloud: str
) -> None:
    build_fails(logged, NO_REGION)
    cause = of_build(sight, "async", cloud)
    assert cause.key == f"builder.sqs/{NAMESPACE}"
    assert cause.line.startswith(f"the released product cannot build async endpoints on {cloud}: its builder makes")
    assert cause.evidence[0].startswith("the builder could not build it")
    assert cause.do == "use a patched image: no setting mends it"


@pytest.mark.parametrize(
    ("kind", "cloud", "exception"),
    [
        ("async", "aws", NO_REGION),
        ("async", "azure", NO_REGION),
        ("sync", "gcp", NO_REGION),
        ("async", "gcp", "ValueError: no such bundle"),
    ],
)
def test_another_failure_is_not_taken_for_that_defect(
    logged: Logged, sight: Sight, kind: str, cloud: str, exception: str
) -> None:
    build_fails(logged, exception)
    assert of_build(sight, kind, cloud).key == f"builder.failed/{NAMESPACE}"


def test_unknown_for_two_cycles_of_the_cacher_asks_the_cacher(logged: Logged, sight: Sight) -> None:
    """The documented contract's word for what nobody has written to Redis: not at once, and anew after another word."""
    logged.say("cacher", line("Got data for ['launch-endpoint-id-end-1'] and []", "delegate"))
    reasons = Reasons(sight, KINDS["sync"])
    for status in ("unknown", "INITIALIZING", "unknown"):
        sight.newest = {"status": status}
        reasons.explain(f"status {status}")
        time.sleep(0.2)
    time.sleep(0.2)
    with pytest.raises(Unhealthy) as caught:
        reasons.explain("status unknown")
    assert caught.value.cause.key == f"redis.noauth/{REDIS}"
    assert "most likely wants a password" in caught.value.cause.line


def test_unknown_with_a_cacher_that_writes_blames_nobody(logged: Logged, sight: Sight) -> None:
    logged.say("cacher", line("Loop took 0.1 seconds", "k8s_cache"))
    reasons, sight.newest = Reasons(sight, KINDS["sync"]), {"status": "unknown"}
    for _ in range(2):
        reasons.explain("status unknown")
        time.sleep(0.35)
    reasons.explain("status unknown")
