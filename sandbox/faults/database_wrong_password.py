"""The database user's password was changed, and the release's Secret was not.

Sign: a connection is refused with "password authentication failed".
"""

from urllib.parse import urlsplit

from sandbox.faults.acts.outside import sql
from sandbox.faults.acts.public import public
from sandbox.handle import Sandbox

PASSWORD = "rotated-by-another-team"


async def break_(sandbox: Sandbox) -> None:
    user = urlsplit(sandbox.database_url).username
    await sql(sandbox, f"ALTER USER {user} PASSWORD '{PASSWORD}'")
    public(sandbox, "database-wrong-password", "postgres", f'password authentication failed for user "{user}"')


async def heal(sandbox: Sandbox) -> None:
    address = urlsplit(sandbox.database_url)
    await sql(sandbox, f"ALTER USER {address.username} PASSWORD '{address.password}'", password=PASSWORD)
