"""JSON merge patches (RFC 7396), which is also how helm lays one values file over another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merged(under: Mapping[str, Any], over: Mapping[str, Any], *, named: bool = False) -> dict[str, Any]:
    """`under` with `over` on top: mappings are merged, anything else is replaced, a null deletes.

    With `named`, lists whose items all have a name (containers, volumes, pull secrets) are merged by it, as kubectl
    does: whoever sets one container's resources need not write down the container.
    """
    out = dict(under)
    for key, value in over.items():
        below = out.get(key)
        if value is None:
            out.pop(key, None)
        elif isinstance(value, Mapping):
            out[key] = merged(below if isinstance(below, Mapping) else {}, value, named=named)
        elif named and _all_named(below) and _all_named(value):
            out[key] = _by_name(below, value)
        else:
            out[key] = value
    return out


def _all_named(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) and "name" in one for one in value)


def _by_name(under: Any, over: Any) -> list[Any]:
    found = {one["name"]: one for one in under}
    for one in over:
        found[one["name"]] = merged(found.get(one["name"], {}), one, named=True)
    return list(found.values())
