"""Kubernetes quantities, as far as endpoints use them."""

from __future__ import annotations

SUFFIXES = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def number(quantity: str | float) -> float:
    """``"500m"`` is 0.5, ``"1Gi"`` 1073741824; ValueError when it is none."""
    text = str(quantity)
    suffix = next((end for end in sorted(SUFFIXES, key=len, reverse=True) if text.endswith(end)), "")
    return float(text.removesuffix(suffix)) * SUFFIXES.get(suffix, 1)
