"""The device plug-in of either vendor: registers the machine's GPUs with the kubelet and says when one falls ill."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from types import FrameType
from typing import Any

from sandbox.gpu.programs import machine

SECONDS = 0.5  # between two looks at the GPUs
WAITS = {
    "nvidia": (
        "If this is a GPU node, did you set the docker default runtime to `nvidia`?\n"
        "No devices found. Waiting indefinitely."
    ),
    "amd": "AMD GPU device plugin for Kubernetes",  # and not a word of what it does not find
}


def main() -> None:
    """Until SIGTERM."""
    found = machine.described()
    resource = found["resource"]
    path = machine.folder() / "plugins" / f"{resource.replace('/', '_')}.json"

    def ended(number: int, frame: FrameType | None) -> None:
        path.unlink(missing_ok=True)
        sys.exit(0)

    signal.signal(signal.SIGTERM, ended)
    if not (machine.has("driver") and machine.has("runtime")):
        print(WAITS[found["vendor"]], flush=True)
        while True:
            signal.pause()
    said: dict[str, bool] = {}
    while True:
        devices = {gpu["device"]: gpu["healthy"] for gpu in machine.described()["gpus"]}
        if devices != said:
            for device, healthy in devices.items():
                if not healthy and said.get(device, True):
                    print(f"'{resource}' device marked unhealthy: {device}", flush=True)
            register(path, found, devices)
            if not said:
                print(f"Registered device plugin for '{resource}' with Kubelet", flush=True)
            said = devices
        time.sleep(SECONDS)


def register(path: Any, found: dict[str, Any], devices: dict[str, bool]) -> None:
    """Whole or not at all."""
    told = {name: found[name] for name in ("resource", "environment", "path")}
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(told | {"pid": os.getpid(), "devices": devices}))
    draft.replace(path)


if __name__ == "__main__":
    main()
