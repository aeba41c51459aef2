"""Of Redis, in which the cacher writes and the gateway reads."""

from rows.row import DELETED, NEED_SERVING, NOTHING_LEFT, RESTARTED, SERVES, STREAMING, Row, each

MEETS_REDIS = (
    *("redis_answers_ping", "cacher_redis_lets_it_in", *SERVES, *DELETED),
    RESTARTED,  # the cacher dies of it, once there is an endpoint
)

ROWS = [
    Row(
        ("cacher-without-redis-rights",),
        each(MEETS_REDIS, "does not let the release do what it must"),
        blocks=(*NEED_SERVING, *NOTHING_LEFT),
        left=True,
        long_proof=True,
    ),
    Row(
        ("redis-wants-a-password",),
        each(MEETS_REDIS, "wants a password"),
        perhaps=(RESTARTED,),  # one that had never met Redis waits for ever
        blocks=(*NEED_SERVING, *NOTHING_LEFT),
        left=True,
        long_proof=True,
    ),
    Row(
        ("redis-wants-a-password",),
        each(("redis_answers_ping", "cacher_redis_lets_it_in", *SERVES[:2]), "wants a password"),
        blocks=tuple(one for one in NEED_SERVING if one not in STREAMING),
        words=("documented",),
        long_proof=True,
    ),
    Row(
        ("redis-readonly",),
        each(MEETS_REDIS, "is read-only: a replica"),
        blocks=(*NEED_SERVING, *NOTHING_LEFT),
        left=True,
        long_proof=True,
    ),
    Row(
        ("redis-gone",),
        each(MEETS_REDIS, "refuses connections"),
        blocks=(*NEED_SERVING, *NOTHING_LEFT),
        left=True,
        long_proof=True,
    ),
]
