"""Why an endpoint is not there yet: asked of its pods, and of whoever should have made or told of them."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace

from seatrial.model_engine.health import builder as builder_health
from seatrial.model_engine.health import cacher as cacher_health
from seatrial.model_engine.health import endpoint as endpoint_health
from seatrial.model_engine.kinds import Kind
from seatrial.model_engine.sight import UNBUILT, Sight
from seatrial.verdict import Cause, Refused, Unhealthy

UNKNOWN = "unknown"
"""The documented contract's word for an endpoint whose state nobody has written to Redis."""

WITHOUT_SQS, AWS_WORDS = ("gcp", "onprem"), ("NoCredentials", "NoRegion", "botocore", "SQS", "sqs")


@dataclass
class Reasons:
    """Looks as long as one endpoint is waited for. Where we may not look, nobody is blamed."""

    sight: Sight
    kind: Kind
    task: str = ""
    """The id of the creation task, by which the builder's log tells of it."""
    since: float = 0.0
    """When it was asked for, by `time.monotonic()`."""
    _unknown_since: float | None = None

    def explain(self, reason: str) -> None:
        """Raise the cause if anybody knows it; `reason` is why the endpoint is not there yet, as the wait has it."""
        site = self.sight.site
        if site.kube is None or site.release is None:
            return
        status = self.sight.newest.get("status")
        with contextlib.suppress(Refused):
            if cause := self.kind.trouble(site.kube, site.namespace, self.sight.name):
                raise Unhealthy(cause)
            vendors = site.trial.settings.gpu_vendors
            if cause := endpoint_health.trouble(site.kube, site.namespace, self.sight.name, vendors):
                raise Unhealthy(cause)
            if status in UNBUILT or not status:
                if cause := builder_health.trouble(site.kube, site.release, self.task):
                    raise Unhealthy(self._told_apart(cause))
                if site.backlog is not None and status == UNBUILT[0]:
                    site.backlog.explain(reason, self.since)
            if self._unknown(status) and (cause := cacher_health.silent(site.kube, site.release)):
                raise Unhealthy(cause)

    def of_failed_build(self, cause: Cause) -> Cause:
        """What the builder's log says of a build that failed, else `cause`, which is all that the gateway says."""
        site = self.sight.site
        if site.kube is None or site.release is None:
            return cause
        with contextlib.suppress(Refused):
            return self._told_apart(builder_health.trouble(site.kube, site.release, self.task) or cause)
        return cause

    def _told_apart(self, cause: Cause) -> Cause:
        """A build that fails since the released builder makes a queue of SQS in clouds that have none."""
        queues = self.sight.site.queues
        said = " ".join((cause.line, *cause.evidence))
        if queues is None or not self.kind.queued or not cause.key.startswith("builder.failed/"):
            return cause
        if queues.configuration.cloud not in WITHOUT_SQS or not any(word in said for word in AWS_WORDS):
            return cause
        return replace(
            cause,
            key=f"builder.sqs/{queues.release.namespace}",
            line=f"the released product cannot build async endpoints on {queues.configuration.cloud}: "
            "its builder makes an SQS queue for each in every cloud but Azure",
            evidence=(cause.line, *cause.evidence),
            do="use a patched image: no setting mends it",
        )

    def _unknown(self, status: object) -> bool:
        """Whether it has been unknown for two of the cacher's cycles."""
        now = time.monotonic()
        if status != UNKNOWN:
            self._unknown_since = None
        elif self._unknown_since is None:
            self._unknown_since = now
        longest = 2 * cacher_health.CYCLE * self.sight.site.trial.settings.timeout_factor
        return self._unknown_since is not None and now - self._unknown_since >= longest
