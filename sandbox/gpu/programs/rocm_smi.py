"""``rocm-smi``, as far as somebody looks whether a container has its GPUs; it ends with 0 without a driver, too."""

from __future__ import annotations

import json
import sys
from typing import Any

from sandbox.gpu.programs import machine

NO_DRIVER = "ERROR: Driver not initialized (amdgpu not found in modules)"
NOTHING = "WARNING: No JSON data to report"
MEBIBYTE = 1 << 20


def main(arguments: list[str]) -> int:
    """The exit code."""
    if not machine.has("driver"):
        print(NO_DRIVER)
        return 0
    told = cards(arguments)
    if not told:
        print(NOTHING)
        return 0
    if "--json" in arguments:
        print(json.dumps(told))
    else:
        for card, values in told.items():
            print("\n".join(f"{card.upper()}\t\t: {name}: \t\t{value}" for name, value in values.items()))
    return 0


def cards(arguments: list[str]) -> dict[str, dict[str, str]]:
    """By card what was asked for; all values are text."""
    found = machine.described()
    told: dict[str, dict[str, Any]] = {}
    for gpu in machine.visible():
        card: dict[str, str] = {}
        if "--showproductname" in arguments:
            card |= {
                "Card Series": found["series"],
                "Card Model": found["model"],
                "Card Vendor": "Advanced Micro Devices, Inc. [AMD/ATI]",
                "Card SKU": "M3000100",
                "Node ID": str(gpu["index"] + 1),
                "GUID": str(45412 + gpu["index"]),
                "GFX Version": "gfx942",
            }
        if "--showmeminfo" in arguments:
            card |= {"VRAM Total Memory (B)": str(found["memory"] * MEBIBYTE), "VRAM Total Used Memory (B)": "0"}
        if card:
            told[f"card{gpu['index']}"] = card
    if "--showdriverversion" in arguments:
        told["system"] = {"Driver version": found["driver"]}
    return told


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
