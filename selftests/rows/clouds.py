"""Of clouds and brokers: what the released product cannot do there, and that a patched one can."""

from rows.row import ACCEPTED, BEYOND_ACCEPTED, NOTHING_LEFT, RESTARTED, Row, each

ELSEWHERE = ("gcp", "onprem", "redis-broker")

ROWS = [
    Row(
        (),
        {"async_endpoint_serves": "the released product cannot build async endpoints on gcp"},
        blocks=("async_task_succeeds", "failing_async_task_is_told", NOTHING_LEFT[1]),
        words=("gcp",),
        long_proof=True,
    ),
    Row(
        (),
        each(
            (
                *("builder_runs", "cacher_runs", "no_pod_in_error_state", "cacher_completes_cycles"),
                *("builder_is_connected", *ACCEPTED, "unknown_async_task_never_succeeds", RESTARTED),
            ),
            "the released product cannot ",
        ),
        blocks=("brokers_agree", *BEYOND_ACCEPTED),
        words=("onprem",),
        left=True,  # nobody can know that what was asked for will never be built
        long_proof=True,
    ),
    Row(
        (),
        {
            "async_task_succeeds": "the released product cannot do async with Redis for a broker",
            NOTHING_LEFT[1]: "the queue launch-endpoint-id-end_",  # nobody has taken the task from there
        },
        given=("--set", "async_task_timeout=50"),
        blocks=("failing_async_task_is_told",),
        words=("redis-broker",),
        long_proof=True,
    ),
    *(Row((), {}, words=(where, "patched"), long_proof=True) for where in ELSEWHERE),
    *(Row((), {}, words=words, long_proof=True) for words in (("azure",), ("azure", "documented"))),
]
