"""Kubernetes quantities (``500m``, ``4Gi``, ``1e3``) as exact numbers."""

from __future__ import annotations

import re
from fractions import Fraction

SUFFIXES = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "": Fraction(1),
    **{suffix: Fraction(1000**power) for power, suffix in enumerate("kMGTPE", 1)},
    **{f"{suffix}i": Fraction(1024**power) for power, suffix in enumerate("KMGTPE", 1)},
}
_QUANTITY = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([numkMGTPEi]*)")


def parse(quantity: str | int | float) -> Fraction:
    """The number; ValueError for what is no quantity."""
    match = _QUANTITY.fullmatch(str(quantity))
    if not match or match[2] not in SUFFIXES:
        raise ValueError(f"not a quantity: {quantity!r}")
    return Fraction(match[1]) * SUFFIXES[match[2]]
