"""``nvidia-smi``, as far as somebody looks whether a container has its GPUs."""

from __future__ import annotations

import sys
from typing import Any

from sandbox.gpu.programs import machine

NO_DRIVER = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
    "Make sure that the latest NVIDIA driver is installed and running.\n"
)
NO_DEVICES = "No devices were found"
NO_DRIVER_EXIT, NO_DEVICES_EXIT, USAGE_EXIT = 9, 6, 2
UNITS = {"memory.total": "MiB", "memory.used": "MiB", "memory.free": "MiB"}
RULE = "+-----------------------------------------------------------------------------------------+"


def fields(found: dict[str, Any], gpu: dict[str, Any]) -> dict[str, str]:
    """What --query-gpu can be asked for. An A10 cannot be partitioned; what a fault says of a GPU counts."""
    return {
        "index": str(gpu["index"]),
        "name": found["name"],
        "uuid": gpu["device"],
        "pci.bus_id": gpu["bus"],
        "driver_version": found["driver"],
        "memory.total": str(found["memory"]),
        "memory.used": "0",
        "memory.free": str(found["memory"]),
        "ecc.errors.uncorrected.volatile.total": str(gpu.get("uncorrected", 0)),
        "mig.mode.current": str(gpu.get("mig", "[N/A]")),
    }


def main(arguments: list[str]) -> int:
    """The exit code."""
    if not machine.has("driver"):
        print(NO_DRIVER)
        return NO_DRIVER_EXIT
    found, gpus = machine.described(), machine.visible()
    if "--version" in arguments:
        print(versions(found))
        return 0
    if not gpus:
        print(NO_DEVICES)
        return NO_DEVICES_EXIT
    if arguments in (["-L"], ["--list-gpus"]):
        for gpu in gpus:
            print(f"GPU {gpu['index']}: {found['name']} (UUID: {gpu['device']})")
        return 0
    if not arguments:
        print(banner(found, gpus))
        return 0
    options = dict(one.split("=", 1) for one in arguments if "=" in one)
    form = options.get("--format", "").split(",")
    if options.keys() != {"--query-gpu", "--format"} or "csv" not in form:
        print("Invalid combination of input arguments. Please run 'nvidia-smi -h' for help.\n")
        return USAGE_EXIT
    return table(found, gpus, options["--query-gpu"].split(","), form)


def table(found: dict[str, Any], gpus: list[dict[str, Any]], asked: list[str], form: list[str]) -> int:
    """As CSV, one line a GPU."""
    unknown = next((name for name in asked if name not in fields(found, gpus[0])), "")
    if unknown:
        print(f'Field "{unknown}" is not a valid field to query.\n')
        return USAGE_EXIT
    units = {} if "nounits" in form else UNITS
    if "noheader" not in form:
        print(", ".join(f"{name} [{units[name]}]" if name in units else name for name in asked))
    for gpu in gpus:
        told = fields(found, gpu)
        print(", ".join(f"{told[name]} {units[name]}" if name in units else told[name] for name in asked))
    return 0


def versions(found: dict[str, Any]) -> str:
    """What --version prints."""
    driver = found["driver"]
    return (
        f"NVIDIA-SMI version  : {driver}\nNVML version        : {driver.rpartition('.')[0]}\n"
        f"DRIVER version      : {driver}\nCUDA Version        : {found['runtime']}"
    )


def banner(found: dict[str, Any], gpus: list[dict[str, Any]]) -> str:
    """What it prints without arguments, its head and one line a GPU."""
    driver, cuda = found["driver"], found["runtime"]
    said = f"| NVIDIA-SMI {driver:<22} Driver Version: {driver:<14} CUDA Version: {cuda:<8} |"
    lines = [f"|   {gpu['index']}  {found['name']:<26} Off | {gpu['bus']} Off |" for gpu in gpus]
    return "\n".join([RULE, said, RULE, *(line.ljust(len(RULE) - 1) + "|" for line in lines), RULE])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
