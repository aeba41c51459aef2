"""Secrets never leave the process in clear: what is known by value or by shape is masked wherever text goes out."""

from __future__ import annotations

import base64
import re
from typing import Any

MASK = "***"
SHORTEST = 8
"""Shorter values are words that stand in any text; masking them would only garble it."""

_SHAPES = (
    (re.compile(r"(?<=://)[^\s/:@]*:[^\s/@]+(?=@)"), MASK),
    (re.compile(r"(?i)(\b(?:bearer|basic)\s+)(?!realm)[A-Za-z0-9._~+/=-]{8,}"), rf"\1{MASK}"),
)
_values: set[str] = set()


def hide(secret: str) -> None:
    """From now on mask `secret`, and its base64 form, in every text of this process."""
    if len(secret) >= SHORTEST:
        _values.update((secret, base64.b64encode(secret.encode()).decode()))


def masked_data(value: Any) -> Any:
    """`value`, plain data, with every text in it masked."""
    match value:
        case str():
            return masked(str(value))
        case dict():
            return {key: masked_data(one) for key, one in value.items()}
        case list() | tuple():
            return [masked_data(one) for one in value]
        case _:
            return value


def masked(text: str) -> str:
    """`text` without any secret that is known by value, without passwords in URLs and tokens in headers."""
    for value in sorted(_values, key=len, reverse=True):
        text = text.replace(value, MASK)
    for shape, instead in _SHAPES:
        text = shape.sub(instead, text)
    return text
