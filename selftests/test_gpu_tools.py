"""The vendors' tools for looking at GPUs: what they print and how they end, as their sources and users show it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.gpu import table

ROOT = Path(__file__).parents[1]
QUERY = "--query-gpu=index,name,uuid,driver_version,memory.total,ecc.errors.uncorrected.volatile.total,mig.mode.current"


class Machine:
    """A machine's folder, and its vendor's tools in a container with some of its GPUs."""

    def __init__(self, folder: Path, vendor: str, cloud: str = "aws") -> None:
        self.folder, self.vendor = folder, vendor
        self.hardware = table.nodes(vendor, cloud)[0].machine
        (folder / "machine.json").write_text(json.dumps(self.hardware))
        (folder / "driver").touch()

    def run(self, *command: str, gpus: int = 2) -> tuple[int, str]:
        """Exit code and output."""
        given = [gpu["device"] for gpu in self.hardware["gpus"][-gpus:]] if gpus else []
        own = {"SANDBOX_MACHINE": str(self.folder), "SANDBOX_DEVICES": ",".join(given), "PYTHONPATH": str(ROOT)}
        path = f"{table.BIN / self.vendor}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(command, env=own | {"PATH": path}, capture_output=True, text=True, timeout=30)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def nvidia(tmp_path: Path) -> Machine:
    return Machine(tmp_path, "nvidia")


@pytest.fixture
def amd(tmp_path: Path) -> Machine:
    return Machine(tmp_path, "amd")


def test_nvidia_smi_tells_of_the_gpus_that_a_container_was_given(nvidia: Machine) -> None:
    one = nvidia.hardware["gpus"][1]["device"]
    line = f"0, NVIDIA A10, {one}, 570.133.20, 23028, 0, [N/A]\n"
    assert nvidia.run("nvidia-smi", QUERY, "--format=csv,noheader,nounits", gpus=1) == (0, line)
    table = "index, memory.total [MiB]\n0, 23028 MiB\n1, 23028 MiB\n"
    assert nvidia.run("nvidia-smi", "--query-gpu=index,memory.total", "--format=csv") == (0, table)
    assert nvidia.run("nvidia-smi", "-L", gpus=1) == (0, f"GPU 0: NVIDIA A10 (UUID: {one})\n")
    assert one.startswith("GPU-")
    code, said = nvidia.run("nvidia-smi")
    assert (code, "Driver Version: 570.133.20" in said, "CUDA Version: 12.8" in said) == (0, True, True)
    assert len({len(line) for line in said.splitlines()}) == 1
    assert "CUDA Version        : 12.8" in nvidia.run("nvidia-smi", "--version")[1]


def test_nvidia_smi_fails_as_known(nvidia: Machine) -> None:
    assert nvidia.run("nvidia-smi", "-L", gpus=0) == (6, "No devices were found\n")
    assert nvidia.run("nvidia-smi", "--query-gpu=cuda_version", "--format=csv")[0] == 2
    assert nvidia.run("nvidia-smi", "--format=csv")[0] == 2
    (nvidia.folder / "driver").unlink()
    code, said = nvidia.run("nvidia-smi", QUERY, "--format=csv,noheader,nounits")
    assert (code, said.splitlines()[0]) == (
        9,
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
        "Make sure that the latest NVIDIA driver is installed and running.",
    )


def test_amd_smi_tells_of_the_gpus_that_a_container_was_given(amd: Machine) -> None:
    code, said = amd.run("amd-smi", "list", "--json")
    (first, second) = json.loads(said)
    assert (code, first["gpu"], second["gpu"], first["bdf"], first["kfd_id"]) == (0, 0, 1, "0000:23:00.0", 45412)
    code, said = amd.run("amd-smi", "list", gpus=1)
    assert said.splitlines()[:2] == ["GPU: 0", "    BDF: 0000:26:00.0"]
    (static,) = json.loads(amd.run("amd-smi", "static", "--json", gpus=1)[1])
    assert (static["asic"]["market_name"], static["driver"]["version"], static["vram"]["size"]) == (
        "AMD Instinct MI300X",
        "6.10.5",
        {"value": 196592, "unit": "MB"},
    )
    assert amd.run("amd-smi", "static", gpus=1)[0] == 0
    assert json.loads(amd.run("amd-smi", "partition", "--current", "--json", gpus=1)[1])[0]["memory"] == "NPS1"
    assert json.loads(amd.run("amd-smi", "version", "--json")[1])[0]["rocm_version"] == "6.2.2"
    line = "AMDSMI Tool: 24.6.2+2b02a07 | AMDSMI Library version: 24.6.2.0 | ROCm version: 6.2.2\n"
    assert amd.run("amd-smi", "version") == (0, line)


def test_rocm_smi_says_everything_as_text(tmp_path: Path) -> None:
    azure = Machine(tmp_path, "amd", "azure")
    asked = ("--showproductname", "--showdriverversion", "--showmeminfo", "vram")
    code, said = azure.run("rocm-smi", *asked, "--json", gpus=1)
    told = json.loads(said)
    assert (code, told.keys(), told["system"]) == (0, {"card0", "system"}, {"Driver version": "6.10.5"})
    assert (told["card0"]["Card Series"], told["card0"]["Card Model"]) == ("AMD Instinct MI300X VF", "0x74b5")
    assert told["card0"]["VRAM Total Memory (B)"] == "206141652992"
    assert "Card Series" in azure.run("rocm-smi", *asked)[1]
    assert azure.run("rocm-smi", "--showproductname", "--json", gpus=0) == (0, "WARNING: No JSON data to report\n")


def test_amds_tools_without_devices_or_driver(amd: Machine) -> None:
    code, said = amd.run("amd-smi", "list", "--json", gpus=0)
    assert (code, said.startswith("Unable to detect any GPU devices")) == (255, True)
    assert amd.run("amd-smi", "--showmeminfo")[0] == 255
    (amd.folder / "driver").unlink()
    code, said = amd.run("sh", "-c", "amd-smi list --json || rocm-smi --showproductname --json")
    assert (code, said.splitlines()) == (
        0,
        [
            "Unable to get devices, driver not initialized (amdgpu not found in modules)",
            "ERROR: Driver not initialized (amdgpu not found in modules)",
        ],
    )
