"""``amd-smi``, as far as somebody looks whether a container has its GPUs: list, static, version, partition."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from sandbox.gpu.programs import machine

NO_DRIVER = "Unable to get devices, driver not initialized (amdgpu not found in modules)"
NO_DEVICES = "Unable to detect any GPU devices, check amdgpu version and module status (sudo modprobe amdgpu)"
FAILED_EXIT = 255
TOOL, LIBRARY = "24.6.2+2b02a07", "24.6.2.0"

Told = list[dict[str, Any]]


def listed(found: dict[str, Any], gpus: Told) -> Told:
    """``amd-smi list``."""
    return [
        {
            "gpu": gpu["index"],
            "bdf": gpu["bus"],
            "uuid": gpu["uuid"],
            "kfd_id": 45412 + gpu["index"],
            "node_id": gpu["index"] + 1,
            "partition_id": 0,
        }
        for gpu in gpus
    ]


def static(found: dict[str, Any], gpus: Told) -> Told:
    """``amd-smi static``."""
    return [
        {
            "gpu": gpu["index"],
            "asic": {"market_name": found["series"], "vendor_id": "0x1002", "device_id": found["model"]},
            "bus": {"bdf": gpu["bus"]},
            "driver": {"name": "amdgpu", "version": found["driver"]},
            "vram": {"type": "HBM", "size": {"value": found["memory"], "unit": "MB"}},
        }
        for gpu in gpus
    ]


def partition(found: dict[str, Any], gpus: Told) -> Told:
    """``amd-smi partition --current``: none of these GPUs is divided."""
    return [
        {
            "gpu_id": gpu["index"],
            "memory": "NPS1",
            "accelerator_type": "SPX",
            "accelerator_profile_index": 0,
            "partition_id": 0,
        }
        for gpu in gpus
    ]


def version(found: dict[str, Any], gpus: Told) -> Told:
    """``amd-smi version``."""
    return [
        {
            "tool": "AMDSMI Tool",
            "version": TOOL,
            "amdsmi_library_version": LIBRARY,
            "rocm_version": found["runtime"],
        }
    ]


COMMANDS: dict[str, Callable[[dict[str, Any], Told], Told]] = {
    "list": listed,
    "static": static,
    "partition": partition,
    "version": version,
}


def main(arguments: list[str]) -> int:
    """The exit code."""
    if not machine.has("driver"):
        print(NO_DRIVER)
        return FAILED_EXIT
    found, gpus = machine.described(), machine.visible()
    if not gpus:
        print(NO_DEVICES)
        return FAILED_EXIT
    command = arguments[0] if arguments else ""
    if command not in COMMANDS:
        print(f"AMDSMIInvalidCommandException: Command '{command}' is invalid. Run '--help' for more info.")
        return FAILED_EXIT
    told = COMMANDS[command](found, gpus)
    if "--json" in arguments:
        print(json.dumps(told, indent=4))
    elif command == "version":
        print(f"AMDSMI Tool: {TOOL} | AMDSMI Library version: {LIBRARY} | ROCm version: {found['runtime']}")
    else:
        print("\n\n".join("\n".join(text(one)) for one in told))
    return 0


def text(one: dict[str, Any]) -> list[str]:
    """A GPU as the tool writes it for people: indented below its number."""
    lines = []
    for name, value in one.items():
        if isinstance(value, dict):
            lines += [f"    {name.upper()}:", *(f"    {line}" for line in text(value))]
        else:
            lines.append(f"    {name.upper()}: {value}" if name != "gpu" else f"GPU: {value}")
    return lines


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
