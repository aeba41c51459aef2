"""The migration of the database, which helm has done before anything else starts: ``run_database_migration.sh``."""

from __future__ import annotations

import asyncio

from sandbox.model_engine import config, store

if __name__ == "__main__":
    asyncio.run(store.migrate(config.database_url()))
    print(f"INFO  [alembic.runtime.migration] Running upgrade  -> {store.HEAD}")
