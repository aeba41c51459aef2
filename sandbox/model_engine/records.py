"""The gateway's view of the endpoint rows: read through a cache in this process."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from sandbox import clock
from sandbox.model_engine.llm_requests import LLM
from sandbox.model_engine.requests import ModelEndpointOrderBy
from sandbox.model_engine.store import Row, Store

CACHE_TTL = 15.0  # seconds
SORTED = {
    ModelEndpointOrderBy.NEWEST: (lambda row: row["created_at"], True),
    ModelEndpointOrderBy.OLDEST: (lambda row: row["created_at"], False),
    ModelEndpointOrderBy.ALPHABETICAL: (lambda row: row["name"], False),
}


class Records:
    """Lists stay as they were read for 15 s, whatever is created or deleted meanwhile, empty ones too."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cache: dict[Any, tuple[float, Any]] = {}

    async def list_llms(self, owner: str, name: str | None, order_by: ModelEndpointOrderBy | None = None) -> list[Row]:
        """The owner's LLM endpoints and the public ones, of that name if one is given."""
        cached = self._get((LLM, owner, name, order_by))
        if cached is not None:
            return list(cached)
        rows = [row for row in await self._llms(name) if row["owner"] == owner or row["public_inference"]]
        self._put((LLM, owner, name, order_by), _sorted(rows, order_by))
        return rows

    async def get_llm(self, name: str) -> Row | None:
        """The LLM endpoint of this name, anybody's."""
        row = self._get((LLM, name))
        if row is None:
            row = next(iter(await self._llms(name)), None)
            if row is not None:
                self._put((LLM, name), row)
        return row and dict(row)

    async def _llms(self, name: str | None) -> list[Row]:
        return [row for row in await self._store.endpoints(name=name) if LLM in row["endpoint_metadata"]]

    async def list(self, owner: str, name: str | None, order_by: ModelEndpointOrderBy | None) -> list[Row]:
        """The owner's endpoints, of that name if one is given."""
        cached = self._get((owner, name, order_by))
        if cached is not None:
            return list(cached)
        rows = _sorted(await self._store.endpoints(owner=owner, name=name), order_by)
        self._put((owner, name, order_by), rows)
        return rows

    async def get(self, endpoint_id: str, owner: str) -> Row | None:
        """The endpoint, None when there is none or it is another owner's."""
        row = self._get(endpoint_id)
        if row is None:
            row = next(iter(await self._store.endpoints(id=endpoint_id)), None)
            if row is None:
                return None
            self._put(endpoint_id, row)
        return dict(row) if row["owner"] == owner else None

    async def create(self, row: Mapping[str, Any]) -> Row:
        """See `Store.create_endpoint`; not cached, but the update that follows is."""
        return await self._store.create_endpoint(row)

    async def update(self, endpoint_id: str, **columns: str | None) -> None:
        """Set columns, and remember the row as it is then."""
        await self._store.update_endpoint(endpoint_id, **columns)
        for row in await self._store.endpoints(id=endpoint_id):
            self._put(endpoint_id, row)

    async def delete(self, endpoint_id: str) -> None:
        """Remove the row and forget it; lists are not forgotten."""
        await self._store.delete_endpoint(endpoint_id)
        self._cache.pop(endpoint_id, None)

    def _get(self, key: Any) -> Any:
        expires, value = self._cache.get(key, (0.0, None))
        return value if time.monotonic() < expires else None

    def _put(self, key: Any, value: Any) -> None:
        self._cache[key] = (time.monotonic() + clock.scaled(CACHE_TTL), value)


def _sorted(rows: list[Row], order_by: ModelEndpointOrderBy | None) -> list[Row]:
    if order_by is not None:
        key, reverse = SORTED[order_by]
        rows.sort(key=key, reverse=reverse)
    return rows
