"""What the vendors' tools say of a driver, judged by its content: some exit with 0 where nothing works."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_PART = re.compile(r"^(?P<nonce>\S+) (?P<edge>begin|end) (?P<name>\w+)(?: (?P<code>\d+))?$")
_NOTHING = ("", "n/a", "[n/a]", "[not supported]", "not supported", "[unknown error]", "unknown error", "unknown")
"""What a tool writes where it knows no value."""


@dataclass(frozen=True)
class Device:
    """One GPU. `memory` as the tool says it, with its unit where it has one; empty where it says nothing.

    `uncorrected`: errors of its memory that ECC could not correct, since the driver was loaded; `partitioned`: MIG is
    on. NVIDIA's tool alone is asked for either.
    """

    name: str
    identity: str = ""
    memory: str = ""
    uncorrected: int = 0
    partitioned: bool = False

    def __str__(self) -> str:
        return f"{self.name or 'GPU'}{f' ({self.memory})' if self.memory else ''}"


@dataclass(frozen=True)
class Driver:
    """A driver that answers: `version` is its own, `runtime` that of CUDA or ROCm, with its name."""

    devices: tuple[Device, ...]
    version: str
    runtime: str

    def __str__(self) -> str:
        names = ", ".join(dict.fromkeys(map(str, self.devices)))
        return f"{len(self.devices)} x {names}, driver {self.version}, {self.runtime}"


@dataclass(frozen=True)
class Broken:
    """Why there is no driver to speak of: `code` is one of `FAILURES`', or ``unknown``."""

    code: str
    line: str
    said: str = ""
    do: str = ""


@dataclass(frozen=True)
class Failure:
    """One row: what a tool writes, and what is then the case."""

    code: str
    pattern: re.Pattern[str]
    line: str
    do: str


def _failure(code: str, pattern: str, line: str, do: str) -> Failure:
    return Failure(code, re.compile(pattern, re.I), line, do)


FAILURES = (
    _failure(
        "hangs",
        r"gave up after \d+ s",
        "the driver does not answer",
        "see dmesg of that node (Xid, fence timeouts); a hung GPU wants its node rebooted",
    ),
    _failure(
        "version_mismatch",
        r"driver/library version mismatch",
        "the node's driver and the library in the container are of different versions",
        "reboot the node after a driver's upgrade, or drain it and reload the driver",
    ),
    _failure(
        "permission_denied",
        r"permission denied|EACCES|insufficient permissions|not a member of (?:the )?.?(?:render|video)",
        "the driver may not be asked: no permission for its devices",
        "an ordinary user needs the group of /dev/kfd and /dev/dri: add its supplementalGroups by overlays, probe/pod",
    ),
    _failure(
        "driver_not_loaded",
        r"couldn't communicate with the nvidia driver|driver not loaded|nvidia kernel module .*not loaded"
        r"|driver not initialized|amdgpu not found in modules|check amdgpu version and module status"
        r"|amdgpu driver is not loaded",
        "the driver is not loaded on the node",
        "install the driver, or see the pods of the GPU operator on that node",
    ),
    _failure(
        "nvml_unknown_error",
        r"failed to initialize nvml: unknown error",
        "the container has lost its GPU (NVML: Unknown Error), as a reload of systemd on the node has it",
        "set the container runtime's cgroup driver to systemd, or restart the node's device plug-in",
    ),
    _failure(
        "no_devices",
        r"no devices were found|no json data to report|unable to detect any gpu devices"
        r"|no (?:amd )?gpus? (?:was |were )?(?:found|detected)",
        "the driver is there and finds no GPU",
        "see lspci and dmesg of that node: a GPU has fallen off its bus, or was not handed to the container",
    ),
    _failure(
        "toolkit_not_injected",
        r"nvidia-smi\W.*(?:not found|no such file)|executable file not found",
        "the vendor's tool is not in the container: the container toolkit has put nothing into it",
        "see the container toolkit on that node: the runtime's default, or a runtimeClassName by overlays, probe/pod",
    ),
    _failure(
        "nvml_error",
        r"failed to initialize nvml: .+",
        "NVML cannot be initialised in the container",
        "see the container toolkit's and the driver's log on that node",
    ),
)
"""What the tools write when they fail: the first that fits counts."""
NO_TOOL = Failure(
    "tool_missing",
    re.compile(""),
    "the image has none of the vendor's tools",
    "name an image with amd-smi or rocm-smi: gpu_probe_image (GPU_PROBE_IMAGE)",
)


def parts(written: str, nonce: str) -> dict[str, str]:
    """What was written in each part of a program of ours, by the part's name; one that was cut off is there, too."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in written.splitlines():
        match = _PART.match(line)
        if match is None or match["nonce"] != nonce:
            if name:
                found[name].append(line)
            continue
        name = match["name"] if match["edge"] == "begin" else ""
        if name:
            found.setdefault(name, [])
    return {name: "\n".join(lines) for name, lines in found.items()}


def read(tool: str, said: Mapping[str, str], expected: int) -> Driver | Broken:
    """What the parts of a tool's program come to; `expected`: how many GPUs the pod was given.

    A driver only where so many GPUs are told of, with sound memory, and the versions of driver and runtime.
    """
    found = PARSERS[tool](said)
    if isinstance(found, Broken):
        return found
    count = len(found.devices)
    if not count:
        return _why(said.values()) or Broken("no_devices", "the tool tells of no GPU", _first(said.values()))
    if count != expected:
        names = ", ".join(one.name or one.identity for one in found.devices)
        return Broken(
            "wrong_count",
            f"{expected} GPU{'s were' if expected > 1 else ' was'} asked for, and the container sees {count}",
            names,
            "see how the device plug-in hands out GPUs: a container that sees all of them was given none (privileged, "
            "or NVIDIA_VISIBLE_DEVICES in the image)",
        )
    for what, value in (("driver", found.version), ("runtime", found.runtime)):
        if not value:
            unknown = Broken(
                f"{what}_version_unknown", f"the tool says no version of the {what}", _first(said.values())
            )
            return _why(said.values()) or unknown
    if ill := next((one for one in found.devices if one.uncorrected), None):
        return Broken(
            "memory_errors",
            f"{ill} has {ill.uncorrected} memory errors since the driver was loaded that ECC could not correct",
            ill.identity,
            "drain the node and reset that GPU (nvidia-smi --gpu-reset) or reboot; replace one that has them again",
        )
    return found


def nvidia_smi(said: Mapping[str, str]) -> Driver | Broken:
    """``nvidia-smi --query-gpu`` (part query) and its banner, which alone has the version of CUDA.

    ECC and MIG are the last of the fields; a GPU without them says so in words.
    """
    rows = [row for row in csv.reader(said.get("query", "").splitlines(), skipinitialspace=True) if len(row) >= 5]
    rows = [row for row in rows if row[0].strip().isdigit()]
    if not rows:
        return _why(said.values()) or Broken("unknown", "nvidia-smi says nothing that is known", _first(said.values()))
    devices = tuple(
        Device(
            *(_value(row[1]), _value(row[2]), _memory(row[4], "MiB")),
            uncorrected=sum(int(one) for one in row[5:6] if one.isdecimal()),
            partitioned="Enabled" in row[6:7],
        )
        for row in ([field.strip() for field in one] for one in rows)
    )
    cuda = re.search(r"CUDA (?:\w+ )?Version\s*:\s*([\d.]+)", said.get("banner", ""))
    return Driver(devices, _value(rows[0][3]), f"CUDA {cuda[1]}" if cuda else "")


def amd_smi(said: Mapping[str, str]) -> Driver | Broken:
    """``amd-smi`` (parts version, list, static), else ``rocm-smi`` (part rocm); shapes of JSON differ by release."""
    if not {"list", "static", "rocm"} & said.keys():
        return Broken(NO_TOOL.code, NO_TOOL.line, _first(said.values()), NO_TOOL.do)
    listed, cards = _gpus(said.get("list", "")), list(_cards(said.get("rocm", "")))
    static = {str(one.get("gpu", number)): one for number, one in enumerate(_gpus(said.get("static", "")))}
    if not listed and not cards:
        told = [said[name] for name in ("list", "rocm", "static", "version") if name in said]
        if said.get("device", "").strip() == "denied":
            denied = next(one for one in FAILURES if one.code == "permission_denied")
            return Broken(denied.code, denied.line, _first(told) or "/dev/kfd is there, and not for us", denied.do)
        return _why(told) or Broken("unknown", "amd-smi and rocm-smi say nothing that is known", _first(told))
    devices = [_device(one, static.get(str(one.get("gpu", number)), {})) for number, one in enumerate(listed)]
    versions = [version for one in static.values() if (version := _driver_version(one))]
    versions += [version for one in _systems(said.get("rocm", "")) if (version := _field(one, "driver version"))]
    rocm = re.search(r"ROCm version\s*:\s*([\w.]+)", said.get("version", ""), re.I)
    release = rocm[1] if rocm and _value(rocm[1]) else _release(said.get("release", ""))
    every = devices or [Device(_field(one, "card series"), _field(one, "guid"), _bytes(one)) for one in cards]
    return Driver(tuple(every), next(iter(versions), ""), f"ROCm {release}" if release else "")


PARSERS: Mapping[str, Callable[[Mapping[str, str]], Driver | Broken]] = {"nvidia_smi": nvidia_smi, "amd_smi": amd_smi}
"""By the tool that a vendor's row names; its program is ``payloads/gpu/<tool>.sh``."""


def failed(said: str) -> Broken | None:
    """What a text of a tool, or of a container runtime that could not start it, says is the case."""
    return _why([said])


def _why(said: Iterable[str]) -> Broken | None:
    text = "\n".join(said)
    for one in FAILURES:
        if match := one.pattern.search(text):
            start = text.rfind("\n", 0, match.start()) + 1
            line = text[start : text.find("\n", match.end()) if "\n" in text[match.end() :] else None]
            return Broken(one.code, one.line, " ".join(line.split())[:300], one.do)
    return None


def _first(said: Iterable[str]) -> str:
    """The first line that says anything."""
    lines = (line.strip() for text in said for line in text.splitlines())
    return next((line[:300] for line in lines if line), "")


def _value(text: Any) -> str:
    found = str(text).strip()
    return "" if found.lower() in _NOTHING else found


def _memory(text: str, unit: str) -> str:
    found = _value(text)
    return f"{found} {unit}" if found.isdigit() else found


def _json(text: str) -> Any:
    """The JSON in a text that may have warnings before it; None where there is none."""
    for match in re.finditer(r"[\[{]", text):
        try:
            return json.JSONDecoder().raw_decode(text[match.start() :])[0]
        except ValueError:
            continue
    return None


def _gpus(text: str) -> list[Mapping[str, Any]]:
    """A list of GPUs: bare, alone, or under ``gpu_data``, as releases have it."""
    found = _json(text)
    if isinstance(found, dict):
        found = found.get("gpu_data", [found] if "gpu" in found else [])
    return [one for one in found or [] if isinstance(one, dict)]


def _device(listed: Mapping[str, Any], static: Mapping[str, Any]) -> Device:
    asic, vram = static.get("asic") or {}, static.get("vram") or {}
    size = vram.get("size", static.get("vram_size")) if isinstance(vram, dict) else vram
    memory = f"{size.get('value')} {size.get('unit', '')}".strip() if isinstance(size, dict) else str(size or "")
    name = asic.get("market_name") or static.get("market_name") or ""
    return Device(_value(name), _value(listed.get("uuid") or listed.get("bdf") or ""), _value(memory))


def _driver_version(static: Mapping[str, Any]) -> str:
    driver = static.get("driver") or {}
    found = driver if isinstance(driver, str) else driver.get("version") or driver.get("driver_version")
    return _value(found or static.get("driver_version") or "")


def _cards(text: str) -> Iterator[Mapping[str, Any]]:
    found = _json(text)
    for name, one in found.items() if isinstance(found, dict) else ():
        if re.fullmatch(r"card\d+", str(name)) and isinstance(one, dict):
            yield one


def _systems(text: str) -> Iterator[Mapping[str, Any]]:
    found = _json(text)
    if isinstance(found, dict) and isinstance(found.get("system"), dict):
        yield found["system"]


def _field(card: Mapping[str, Any], name: str) -> str:
    """Releases differ in the case of their keys."""
    return next((_value(value) for key, value in card.items() if key.lower() == name), "")


def _bytes(card: Mapping[str, Any]) -> str:
    found = _field(card, "vram total memory (b)")
    return f"{int(found) // 2**20} MiB" if found.isdigit() else ""


def _release(text: str) -> str:
    match = re.match(r"\s*(\d+\.\d[\w.-]*)", text)
    return match[1] if match else ""
