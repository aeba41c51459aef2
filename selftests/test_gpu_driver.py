"""What the vendors' tools say, judged by content: outputs from their documentation and sources, and the failures."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from seatrial.gpu.asked import Asked, partitioned
from seatrial.gpu.driver import PARSERS, Broken, Device, Driver, failed, parts, read
from seatrial.gpu.node import Want
from seatrial.gpu.vendors import TABLE
from seatrial.model_engine.gpu import LABEL, TYPES
from seatrial.payloads import ROOT, shell_program
from seatrial.verdict import Cause

QUERY = "0, NVIDIA A10, GPU-f15ae561, 570.133.20, 23028, 0, [N/A]"
BANNER = "| NVIDIA-SMI 570.133.20    Driver Version: 570.133.20    CUDA Version: 12.8     |"
GIVEN = {"query": QUERY, "banner": BANNER}
NO_DRIVER = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
    "Make sure that the latest NVIDIA driver is installed and running."
)
LISTED = [{"gpu": 0, "bdf": "0000:23:00.0", "uuid": "96ff", "kfd_id": 45412, "node_id": 1, "partition_id": 0}]
STATIC = {
    "gpu": 0,
    "asic": {"market_name": "AMD Instinct MI300X"},
    "driver": {"version": "6.10.5"},
    "vram": {"size": {"value": 196592, "unit": "MB"}},
}
VERSION = "AMDSMI Tool: 24.6.2+2b02a07 | AMDSMI Library version: 24.6.2.0 | ROCm version: 6.2.2"
ROCM = {
    "card0": {"Card series": "AMD Instinct MI210", "GUID": "5656", "VRAM Total Memory (B)": "68702699520"},
    "system": {"Driver version": "5.18.13"},
}


H100, A100 = "nvidia-hopper-h100", "nvidia-ampere-a100"
WANT = Want(TABLE["nvidia"], labels={LABEL: TYPES, "node-lifecycle": ("normal",)}, kind=LABEL)
PARTITIONED = f"the GPUs of node gpu-1 are partitioned (MIG is on), and its label {LABEL}="
GIVEN_A_PART = "is given a part there"


def test_a_driver_of_nvidia() -> None:
    found = read("nvidia_smi", GIVEN, 1)
    assert found == Driver((Device("NVIDIA A10", "GPU-f15ae561", "23028 MiB"),), "570.133.20", "CUDA 12.8")
    assert str(found) == "1 x NVIDIA A10 (23028 MiB), driver 570.133.20, CUDA 12.8"


def parted(mode: str, **labels: str) -> Cause | str:
    """What is said of a node with these labels, once its GPU has told of MIG."""
    found = read("nvidia_smi", {**GIVEN, "query": f"0, NVIDIA H100, GPU-1, 570.1, 81559, 0{mode}"}, 1)
    assert isinstance(found, Driver)
    return partitioned(Asked("gpu-1", WANT, None, {"node-lifecycle": "normal", **labels}), found, "kubectl")


def test_a_gpu_that_is_partitioned() -> None:
    """It is judged where the label, by which workloads choose the type, tells of whole ones."""
    cause = parted(", Enabled", **{LABEL: H100, "nvidia.com/mig.config": "all-disabled"})
    assert isinstance(cause, Cause)
    assert cause.line == f"{PARTITIONED}{H100} tells of whole ones"
    assert f"label the node {LABEL}={H100}-1g20gb or {H100}-3g40gb" in cause.do
    for mode, labels in (
        (", Disabled", {LABEL: H100}),
        ("", {LABEL: H100}),
        (", Enabled", {LABEL: f"{H100}-1g20gb"}),
        (", Enabled", {}),
    ):
        assert parted(mode, **labels) == ""


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({LABEL: A100}, f"the label has no value for a part of one: whoever asks for {A100} {GIVEN_A_PART}"),
        ({LABEL: H100, "nvidia.com/mig.config": "all-1g.10gb"}, "nvidia.com/mig.config=all-1g.10gb says that it is "),
        ({LABEL: H100, "nvidia.com/gpu.product": "NVIDIA-H100-MIG-1g.10gb"}, "MIG-1g.10gb says that it is meant so: "),
    ],
    ids=["no-label-for-it", "mig-config", "product"],
)
def test_a_gpu_that_is_meant_to_be_partitioned(labels: dict[str, str], said: str) -> None:
    told = parted(", Enabled", **labels)
    assert isinstance(told, str)
    assert told.startswith(PARTITIONED)
    assert said in told


@pytest.mark.parametrize("shape", [LISTED, LISTED[0], {"gpu_data": LISTED}])
def test_a_driver_of_amd(shape: object) -> None:
    noise = "WARNING: User is missing the following required groups\n"
    said = {"version": VERSION, "list": noise + json.dumps(shape), "static": json.dumps([STATIC])}
    expected = Driver((Device("AMD Instinct MI300X", "96ff", "196592 MB"),), "6.10.5", "ROCm 6.2.2")
    assert read("amd_smi", said, 1) == expected


@pytest.mark.parametrize(
    "static", [{"gpu": 0, "driver": {"driver_version": "6.8"}}, {"gpu": 0, "driver_version": "6.8"}]
)
def test_keys_that_differ_by_release(static: dict[str, object]) -> None:
    said = {"version": VERSION, "list": json.dumps(LISTED), "static": json.dumps({"gpu_data": [static]})}
    found = read("amd_smi", said, 1)
    assert isinstance(found, Driver)
    assert found.version == "6.8"


@pytest.mark.parametrize("key", ["Card series", "Card Series"])
def test_the_older_tool(key: str) -> None:
    card = {key if name == "Card series" else name: value for name, value in ROCM["card0"].items()}
    found = read("amd_smi", {"rocm": json.dumps({**ROCM, "card0": card}), "release": "6.1.0-82\n"}, 1)
    assert found == Driver((Device("AMD Instinct MI210", "5656", "65520 MiB"),), "5.18.13", "ROCm 6.1.0-82")


@pytest.mark.parametrize(
    ("tool", "said", "code"),
    [
        ("nvidia_smi", {"query": NO_DRIVER, "banner": NO_DRIVER}, "driver_not_loaded"),
        ("nvidia_smi", {"query": "sh: 9: nvidia-smi: not found"}, "toolkit_not_injected"),
        (
            "nvidia_smi",
            {"query": "timeout: failed to run command 'nvidia-smi': No such file or directory"},
            "toolkit_not_injected",
        ),
        ("nvidia_smi", {"query": "Failed to initialize NVML: Unknown Error"}, "nvml_unknown_error"),
        ("nvidia_smi", {"query": "Failed to initialize NVML: Driver/library version mismatch"}, "version_mismatch"),
        ("nvidia_smi", {"query": "Failed to initialize NVML: Insufficient Permissions"}, "permission_denied"),
        ("nvidia_smi", {"query": "Failed to initialize NVML: GPU is lost"}, "nvml_error"),
        ("nvidia_smi", {"query": "No devices were found"}, "no_devices"),
        ("nvidia_smi", {"query": "gave up after 60 s"}, "hangs"),
        ("nvidia_smi", {"query": "what is this", "banner": ""}, "unknown"),
        ("nvidia_smi", {}, "unknown"),
        ("nvidia_smi", {**GIVEN, "query": f"{QUERY}\n1{QUERY[1:]}"}, "wrong_count"),
        ("nvidia_smi", {**GIVEN, "query": QUERY.replace("23028, 0,", "23028, 2,")}, "memory_errors"),
        ("nvidia_smi", {**GIVEN, "banner": "CUDA Version: N/A"}, "runtime_version_unknown"),
        ("nvidia_smi", {**GIVEN, "query": QUERY.replace("570.133.20", "[N/A]")}, "driver_version_unknown"),
        ("amd_smi", {"rocm": "ERROR: Driver not initialized (amdgpu not found in modules)"}, "driver_not_loaded"),
        (
            "amd_smi",
            {"list": "Unable to detect any GPU devices, check amdgpu version and module status (sudo modprobe amdgpu)"},
            "driver_not_loaded",
        ),
        ("amd_smi", {"list": "[]", "rocm": "No JSON data to report"}, "no_devices"),
        ("amd_smi", {"device": "denied", "list": "[]"}, "permission_denied"),
        ("amd_smi", {"device": "open", "list": "PermissionError: [Errno 13] Permission denied"}, "permission_denied"),
        ("amd_smi", {"device": "absent", "release": "cat: no such file"}, "tool_missing"),
        ("amd_smi", {"list": json.dumps(LISTED), "version": VERSION}, "driver_version_unknown"),
        ("amd_smi", {"list": json.dumps(LISTED), "static": json.dumps([STATIC])}, "runtime_version_unknown"),
        ("amd_smi", {"list": "Segmentation fault"}, "unknown"),
    ],
)
def test_what_is_then_the_case(tool: str, said: dict[str, str], code: str) -> None:
    found = read(tool, said, 1)
    assert isinstance(found, Broken)
    assert found.code == code
    assert found.line
    assert "\n" not in found.said


def test_a_container_that_was_never_begun() -> None:
    text = 'exec: "nvidia-smi": executable file not found in $PATH: unknown'
    broken = failed(f"failed to create containerd task\n{text}\nmore")
    assert broken
    assert (broken.code, broken.said) == ("toolkit_not_injected", text)
    assert failed("all is well") is None


def test_parts_are_told_apart_by_the_nonce() -> None:
    written = "n1 begin query\nx begin banner\na\nn1 end query 9\nbetween\nn1 begin banner\ncut off"
    assert parts(written, "n1") == {"query": "x begin banner\na", "banner": "cut off"}


def test_every_vendor_has_a_program_and_a_parser() -> None:
    assert {row.tool for row in TABLE} == set(PARSERS)
    assert {path.stem for path in (ROOT / "gpu").glob("*.sh")} == {"common", *PARSERS}


@pytest.mark.parametrize("tool", sorted(PARSERS))
def test_the_programs_run_in_any_shell(tool: str, tmp_path: Path) -> None:
    """Here nothing of a vendor is there: the tool is missing, and that is what is understood."""
    program = shell_program(tool).replace("${nonce}", "n1")
    for name in ("sh", "cat", "timeout"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    done = subprocess.run(
        ["sh", "-c", program], env={"PATH": str(tmp_path)}, capture_output=True, text=True, timeout=20
    )
    found = read(tool, parts(done.stdout, "n1"), 1)
    assert isinstance(found, Broken)
    assert found.code == {"nvidia_smi": "toolkit_not_injected", "amd_smi": "tool_missing"}[tool], done.stdout
