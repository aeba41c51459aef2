"""Asks a PostgreSQL for `SELECT 1`: argument {"env": the variable with the URL, as SQLAlchemy or libpq writes it}.

The code is the sqlstate; what lies before PostgreSQL has words: refused, dns, timeout, tls, unreachable.
"""

import asyncio
import os
import socket
import ssl
from urllib.parse import parse_qsl, unquote, urlsplit

from common import connected, tell

SECONDS = 10
IN_WORDS = (
    ("28P01", "password authentication failed"),
    ("28P01", "no password supplied"),
    ("3D000", "does not exist"),
    ("53300", "too many clients"),
    ("53300", "too many connections"),
    ("57P03", "is starting up"),
    ("tls", "SSL"),
)


def secure(query):
    """What the driver takes for `ssl`: SQLAlchemy's asyncpg writes ``ssl=``, libpq ``sslmode=``."""
    word = query.get("ssl") or query.get("sslmode")
    return {"true": "require", "false": "disable"}.get(str(word).lower(), word)


def by_libpq(psycopg, host, port, user, password, database, mode):
    """For a machine without asyncpg. What a login is refused for, libpq tells in words alone, and in English."""
    try:
        with psycopg.connect(
            host=host,
            port=port,
            user=user,
            password=password,
            dbname=database,
            sslmode=mode or "prefer",
            connect_timeout=SECONDS,
        ) as connection:
            return connection.execute("SELECT 1").fetchone()[0], "", ""
    except psycopg.errors.ConnectionTimeout as error:
        return None, "timeout", error
    except psycopg.Error as error:
        said = str(error)
        known = ((code, words) for code, words in IN_WORDS if words in said)
        return None, error.sqlstate or next((code for code, words in known), "closed"), said


def main(ask):
    try:
        import asyncpg
    except ImportError:
        asyncpg = None

    url = urlsplit(os.environ[ask["env"]].strip())
    query = dict(parse_qsl(url.query))
    host, port = url.hostname or query.get("host"), int(url.port or query.get("port") or 5432)
    at = f"{host}:{port}"

    def fail(code, said):
        return dict(ok=False, code=code, at=at, said=str(said)[:300], database=database)

    database = unquote(url.path.strip("/")) or unquote(url.username or "")
    plain, code, said = connected(host, port, SECONDS)
    if plain is None:
        return fail(code, said)
    plain.close()

    if asyncpg is None:
        import psycopg

        login = unquote(url.username or ""), unquote(url.password or ""), database
        found, code, said = by_libpq(psycopg, host, port, *login, secure(query))
        return fail(code, said) if code else dict(ok=found == 1, at=at, database=database, answer=found, code="")

    async def select():
        connection = await asyncpg.connect(
            host=host,
            port=port,
            user=unquote(url.username or ""),
            password=unquote(url.password or ""),
            database=database,
            ssl=secure(query),
            timeout=SECONDS,
        )
        try:
            return await connection.fetchval("SELECT 1", timeout=SECONDS)
        finally:
            await connection.close(timeout=SECONDS)

    try:
        found = asyncio.run(select())
    except asyncpg.PostgresError as error:
        return fail(error.sqlstate, error)
    except ssl.SSLError as error:
        return fail("tls", error)
    except (asyncio.TimeoutError, socket.timeout):
        return fail("timeout", f"it accepts the connection and does not answer within {SECONDS} s")
    except ConnectionError as error:
        return fail("tls" if "SSL" in str(error) else "closed", error)
    except OSError as error:
        return fail("closed", error)
    return dict(ok=found == 1, at=at, database=database, answer=found, code="" if found == 1 else "answer")


tell(main)
