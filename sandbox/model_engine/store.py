"""Bundles and endpoints in PostgreSQL."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg

from sandbox.model_engine import config

ENDPOINTS = (
    "SELECT e.*, b.name AS bundle_name FROM hosted_model_inference.endpoints e"
    " JOIN hosted_model_inference.bundles b ON b.id = e.current_bundle_id"
)
HEAD = "c4d5e6f7a8b9"  # the newest migration
BASE32HEX = "0123456789abcdefghijklmnopqrstuv"

Row = dict[str, Any]


async def migrate(database_url: str) -> None:
    """Create the product's schema and tables, as its migration Job does; again is harmless."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(Path(__file__).with_name("schema.sql").read_text())
    finally:
        await connection.close()


def new_id(prefix: str) -> str:
    """``bun_`` or ``end_`` and an xid: 20 characters that begin with the time, so that ids sort by age."""
    number = int.from_bytes(int(time.time()).to_bytes(4) + os.urandom(8)) << 4
    return prefix + "".join(BASE32HEX[(number >> shift) & 31] for shift in range(95, -1, -5))


class Store:
    """One connection for each statement: nothing here outlives a database that went away."""

    async def _fetch(self, sql: str, *values: Any) -> list[Row]:
        connection = await asyncpg.connect(config.database_url(), timeout=10)
        try:
            for kind in ("json", "jsonb"):
                await connection.set_type_codec(kind, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
            return [dict(row) for row in await connection.fetch(sql, *values)]
        finally:
            await connection.close()

    async def create_bundle(self, *, owner: str, name: str, schema_location: str, metadata: Any, flavor: Any) -> str:
        """The new bundle's id."""
        bundle_id = new_id("bun_")
        await self._fetch(
            "INSERT INTO hosted_model_inference.bundles"
            " (id, name, created_by, owner, schema_location, bundle_metadata, flavor)"
            " VALUES ($1, $2, $3, $3, $4, $5, $6)",
            *(bundle_id, name, owner, schema_location, metadata, flavor),
        )
        return bundle_id

    async def bundles(self, **equal: str | None) -> list[Row]:
        """Bundles, oldest first, of which each given column has the given value; None means any."""
        return await self._select("SELECT b.* FROM hosted_model_inference.bundles b", "b", equal)

    async def create_endpoint(self, row: Mapping[str, Any]) -> Row:
        """The new row. `row`: columns without the generated ones. asyncpg.UniqueViolationError for a name in use."""
        row = {"id": new_id("end_"), **row}
        places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
        sql = f"INSERT INTO hosted_model_inference.endpoints ({', '.join(row)}) VALUES ({places})"
        await self._fetch(sql, *row.values())
        return (await self.endpoints(id=row["id"]))[0]

    async def endpoints(self, **equal: str | None) -> list[Row]:
        """Endpoints with their bundle's name, oldest first, of which each given column has the given value."""
        return await self._select(ENDPOINTS, "e", equal)

    async def update_endpoint(self, endpoint_id: str, **columns: str | None) -> None:
        """Set `columns`; no such row is no error (it was deleted before it was built)."""
        sets = ", ".join(f"{name} = ${n}" for n, name in enumerate(columns, 2))
        sql = f"UPDATE hosted_model_inference.endpoints SET {sets}, last_updated_at = now() WHERE id = $1"
        await self._fetch(sql, endpoint_id, *columns.values())

    async def delete_endpoint(self, endpoint_id: str) -> None:
        """Remove the row."""
        await self._fetch("DELETE FROM hosted_model_inference.endpoints WHERE id = $1", endpoint_id)

    async def _select(self, sql: str, alias: str, equal: Mapping[str, str | None]) -> list[Row]:
        given = {name: value for name, value in equal.items() if value is not None}
        where = " AND ".join(f"{alias}.{name} = ${n}" for n, name in enumerate(given, 1)) or "true"
        return await self._fetch(f"{sql} WHERE {where} ORDER BY {alias}.created_at", *given.values())


def timestamp(moment: datetime) -> str:
    """As the product's JSON has it: ``2026-11-21T00:03:19.504573Z``."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
