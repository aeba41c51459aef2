"""What is wrong with the database, by what its clients say in the logs of gateway, builder and migration."""

from __future__ import annotations

import re
from collections.abc import Iterable

from seatrial.model_engine.health.signs import Sign, ending, first
from seatrial.verdict import Cause

SIGNS = (
    Sign(
        "not-migrated",
        ("UndefinedTableError", "UndefinedColumnError", "InvalidSchemaNameError"),
        "the database has not the tables that this version needs: it is not migrated",
        "run the chart's migration: db.runDbMigrationScript=true, then helm upgrade",
    ),
    Sign(
        "no-database",
        ("InvalidCatalogNameError",),
        "the database that the release names does not exist",
        "create it, or correct the name in the database Secret",
    ),
    Sign(
        "auth",
        ("InvalidPasswordError", "InvalidAuthorizationSpecificationError", "password authentication failed"),
        "the database refuses the release's user or password",
        "correct user and password in the database Secret, then restart gateway and builder",
    ),
    Sign(
        "denied",
        ("InsufficientPrivilegeError",),
        "the database does not let the release's user do what it must",
        "grant it the rights on the schemas hosted_model_inference and model",
    ),
    Sign("loading", ("CannotConnectNowError",), "the database is starting or ending", "wait until it has started"),
    Sign(
        "too-many",
        ("TooManyConnectionsError",),
        "the database has no connection left",
        "raise max_connections, or lower db_engine_pool_size",
    ),
    Sign(
        "readonly",
        ("ReadOnlySQLTransactionError",),
        "the database is read-only: a replica",
        "name the primary in the database Secret",
    ),
    Sign(
        "refused",
        ("Connect call failed", "ConnectionRefusedError", "Connection refused"),
        "the database at {at} refuses connections",
        "see whether it runs, and whether host and port in the database Secret are right",
    ),
    Sign(
        "dns",
        ("socket.gaierror", "Name or service not known"),
        "the name in the database's address does not resolve",
        "correct the host in the database Secret",
    ),
    Sign(
        "closed",
        ("ConnectionDoesNotExistError", "connection was closed in the middle", "AdminShutdownError"),
        "the database closes its connections",
        "see its log",
    ),
    Sign(
        "timeout",
        ("TimeoutError",),
        "the database at {at} does not answer",
        "see whether a firewall, security group or NetworkPolicy drops the way there",
    ),
)
_OF_DATABASE = re.compile(r"asyncpg|sqlalchemy|psycopg|postgres", re.I)
_ADDRESS = re.compile(r"Connect call failed \('([\w.:-]+)', (\d+)")


def told(text: str, at: str, evidence: Iterable[str] = (), look: str = "") -> Cause | None:
    """The cause that an exception's `text` tells of, if it is of the database; `at`: where the text has no address."""
    sign = first(SIGNS, ending(text)) if _OF_DATABASE.search(text) else None
    if sign is None:
        return None
    found = _ADDRESS.search(text)
    return sign.cause("database", f"{found[1]}:{found[2]}" if found else at, evidence, look)
