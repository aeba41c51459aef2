"""The server has no database of the name in the release's address.

Sign: a connection is refused with "database ... does not exist".
"""

from urllib.parse import urlsplit

from sandbox.faults.acts.outside import sql
from sandbox.faults.acts.public import public
from sandbox.handle import Sandbox

ASIDE = "another_database"


async def break_(sandbox: Sandbox) -> None:
    name = urlsplit(sandbox.database_url).path[1:]
    cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    await sql(sandbox, cut, f"ALTER DATABASE {name} RENAME TO {ASIDE}", database="template1")
    public(sandbox, "database-missing", "postgres", f'database "{name}" does not exist')


async def heal(sandbox: Sandbox) -> None:
    name = urlsplit(sandbox.database_url).path[1:]
    await sql(sandbox, f"ALTER DATABASE {ASIDE} RENAME TO {name}", database="template1")
