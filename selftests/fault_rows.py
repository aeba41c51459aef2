"""What each fault does to a run of the suite, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# What stands for several checks of one kind.
KINDS = ("sync", "async", "streaming")
ACCEPTED = tuple(f"{kind}_endpoint_is_accepted" for kind in KINDS)
SERVES = tuple(f"{kind}_endpoint_serves" for kind in KINDS)
DELETED = tuple(f"{kind}_endpoint_is_deleted" for kind in KINDS)
NOTHING_LEFT = tuple(f"nothing_of_{kind}_endpoint_is_left" for kind in KINDS)
ASYNC_TASKS = ("async_task_succeeds", "failing_async_task_is_told")
NEED_SERVING = ("sync_task_echoes", "failing_task_fails", "cacher_publishes_endpoint", "streaming_task_echoes", *ASYNC_TASKS)
LIFECYCLES = (*ACCEPTED, *SERVES, *NEED_SERVING, *DELETED, *NOTHING_LEFT)
PULLS = ("gateway_image_is_pulled", "builder_image_is_pulled", "forwarder_image_is_pulled")
NOT_APPLICABLE = {
    (): {"redis_broker_answers_ping", "embedded_kubeconfig_is_valid"},
    ("documented",): {"failing_task_fails", "redis_broker_answers_ping"},
}
"""By what the sandbox is, what there is nothing to judge by."""


@dataclass(frozen=True)
class Row:
    """What faults, all there at once, do to a run. Check names stand without their phase; whatever is not named passes.

    `fails`: by failing check, in the order of the run, what stands in its line. `given`: options of each run of it.
    `select`: what `make test` runs, as options of pytest, of a run that would be longer; the long proof runs
    everything. `left`: whether something cannot be removed. Every row is in the long proof, a row with `long_proof`
    there alone. `sign`: what the sandbox calls its first public sign; the others' is the fault's name. `words`: what
    the sandbox is.
    """

    faults: tuple[str, ...]
    fails: Mapping[str, str]
    blocks: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    sign: str = ""
    left: bool = False
    long_proof: bool = False

    @property
    def name(self) -> str:
        return "+".join((*self.faults, *self.words))


def each(checks: tuple[str, ...], line: str) -> dict[str, str]:
    """All of them with the same line."""
    return dict.fromkeys(checks, line)
