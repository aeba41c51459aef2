"""What a row says, and the names that rows share."""

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
NEED_SERVING = (
    *("sync_task_echoes", "failing_task_fails", "cacher_publishes_endpoint", "streaming_task_echoes"),
    *ASYNC_TASKS,
)
STREAMING = (
    *("streaming_endpoint_is_accepted", "streaming_endpoint_serves", "streaming_task_echoes"),
    *("streaming_endpoint_is_deleted", "nothing_of_streaming_endpoint_is_left"),
)
SQS = ("sqs_lists_queues", "sqs_queue_goes_round", "sqs_region_is_the_releases")
SERVICE_BUS = ("service_bus_secret_exists", "service_bus_goes_round", "service_bus_pool_is_right")
PROBED = ("redis_answers_ping", "database_answers_select_1", *SQS)
LIFECYCLES = (*ACCEPTED, *SERVES, *NEED_SERVING, *DELETED, *NOTHING_LEFT)
BEYOND_ACCEPTED = (*SERVES, *NEED_SERVING, *DELETED, *NOTHING_LEFT)
PULLS = ("gateway_image_is_pulled", "builder_image_is_pulled", "forwarder_image_is_pulled")
ASKED = ("endpoints_are_listed", *ACCEPTED, "task_without_endpoint_is_refused")
"""What the gateway cannot answer without its database. It refuses whoever has no credentials before it asks."""
RESTARTED = "no_restarts_during_the_run"

# What a run selects.
TIER_A, INFRA, PREFLIGHT = ("-m", "tier_a"), ("-m", "infra"), ("-m", "preflight")


@dataclass(frozen=True)
class Row:
    """What faults, all there at once, do to a run. Check names stand without their phase; whatever is not named passes.

    `fails`: by failing check, in the order of the run, what stands in its line; none: nothing may turn red. `given`:
    options of the run. `select`: what it runs, else everything. `left`: whether something of an endpoint cannot be
    removed. `perhaps`: those of `fails` that pass where nothing had happened before. `because`: what stands in the line
    of each of `errors`. `unset`: of the environment that a user exports, what this one did not. `called`: the name of
    what a row is about that is no fault. A row with `long_proof` is for `make prove` alone. `sign`: what the sandbox
    calls its first public sign, the others' is the fault's name. `words`: what the sandbox is.
    `told`: how the report tells the first cause, from its heading to the checks that it blocked; `…` is what differs.
    `judged`: what only these options give something to judge by; `unjudged`: what has nothing to judge by here besides.
    `at_timeout`: nothing but the time tells it, so that its verdict comes with the wait's end.
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
    perhaps: tuple[str, ...] = ()
    long_proof: bool = False
    judged: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()
    at_timeout: bool = False
    because: str = ""
    told: str = ""
    unset: tuple[str, ...] = ()
    called: str = ""

    @property
    def name(self) -> str:
        return "+".join(filter(None, (self.called, *self.faults, *self.words))) or "declared"


@dataclass(frozen=True)
class NotApplicable:
    """Checks with nothing to judge by in a sandbox of one of the words `where` (none: in any), and none of `unless`."""

    checks: tuple[str, ...]
    where: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()

    def holds(self, words: tuple[str, ...]) -> bool:
        """Whether it does, by what the sandbox is."""
        return (not self.where or not set(self.where).isdisjoint(words)) and set(self.unless).isdisjoint(words)


def each(checks: tuple[str, ...], line: str) -> dict[str, str]:
    """All of them with the same line."""
    return dict.fromkeys(checks, line)
