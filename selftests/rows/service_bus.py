"""Of Azure Service Bus, and of who logs in to it."""

from rows.row import PREFLIGHT, Row, each

ROWS = [
    Row(
        ("service-bus-secret-gone", "broker-pool-limit-zero"),
        {
            "service_account_has_its_role": "and its pods were not given it",
            "service_bus_secret_exists": "have neither a Secret nor a workload identity",
            "service_bus_goes_round": "the release has no credentials that the broker servicebus takes",
            "service_bus_pool_is_right": "broker_pool_limit is 0, old advice",
        },
        words=("azure",),
        select=("-k", "role or service_bus"),
    ),
    Row(
        ("service-bus-drops-idle",),
        {"async_endpoint_survives_idle": "the broker parts with idle connections"},
        given=("--set", "broker_idle=60"),
        words=("azure",),
        select=("-m", "slow"),
        judged=("async_endpoint_survives_idle",),
        at_timeout=True,
    ),
    Row(
        ("service-bus-secret-gone",),
        each(("named_secrets_exist", "service_bus_secret_exists"), "does not exist"),
        blocks=("service_bus_goes_round",),
        words=("azure", "documented"),
        select=PREFLIGHT,
        long_proof=True,
    ),
]
