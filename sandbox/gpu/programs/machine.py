"""What a program in a pod finds of the machine that it runs on: a folder with ``machine.json`` and a few signs.

``driver`` is there while the kernel has the vendor's driver, ``runtime`` while containers are given GPUs at all.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

VARIABLE = "SANDBOX_MACHINE"


def folder() -> Path:
    """Of this machine."""
    return Path(os.environ[VARIABLE])


def described() -> dict[str, Any]:
    """See `sandbox.gpu.table.machine`."""
    return dict(json.loads((folder() / "machine.json").read_text()))


def has(sign: str) -> bool:
    """Whether the machine has ``driver`` or ``runtime``."""
    return (folder() / sign).exists()


def visible() -> list[dict[str, Any]]:
    """The GPUs that this container was given, in the order of their numbers, counted anew."""
    given = os.environ.get("SANDBOX_DEVICES", "").split(",")
    found = [gpu for gpu in described()["gpus"] if gpu["device"] in given]
    return [gpu | {"index": index} for index, gpu in enumerate(found)]
