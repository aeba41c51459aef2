"""Every byte we send is data: a JSON file in payloads/, with ``${names}`` that are filled in."""

from __future__ import annotations

import json
from pathlib import Path
from string import Template
from typing import Any

ROOT = Path(__file__).parent.parent / "payloads"


def payload(path: str, /, **values: str) -> Any:
    """The payload ``payloads/<path>.json`` with `values` in it; KeyError for a name that nobody filled in."""
    raw = json.loads((ROOT / f"{path}.json").read_text(encoding="utf-8"))
    return _filled(raw, values)


def _filled(value: Any, values: dict[str, str]) -> Any:
    match value:
        case str():
            return Template(value).substitute(values)
        case dict():
            return {key: _filled(one, values) for key, one in value.items()}
        case list():
            return [_filled(one, values) for one in value]
        case _:
            return value
