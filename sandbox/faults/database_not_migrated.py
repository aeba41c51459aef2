"""The database has none of the product's tables, as after an install with the migrations switched off.

Sign: a query is answered with "relation ... does not exist".
"""

from sandbox.faults.acts.outside import sql
from sandbox.faults.acts.public import public
from sandbox.handle import Sandbox

SCHEMA, ASIDE = "hosted_model_inference", "not_there_yet"


async def break_(sandbox: Sandbox) -> None:
    await sql(sandbox, f"ALTER SCHEMA {SCHEMA} RENAME TO {ASIDE}")
    public(sandbox, "database-not-migrated", "postgres", f'relation "{SCHEMA}.endpoints" does not exist')


async def heal(sandbox: Sandbox) -> None:
    await sql(sandbox, f"ALTER SCHEMA {ASIDE} RENAME TO {SCHEMA}")
