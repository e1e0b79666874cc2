"""The machine and the library versions that a result depends on."""

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "imbalanced-learn")
PACKAGES += ("opencv-python-headless",)
# Those that TensorFlow, oneDNN and OpenBLAS have kernels for, under Linux' names.
INSTRUCTION_SETS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")
INSTRUCTION_SETS += ("asimd", "sve")


def describe_machine() -> dict[str, str]:
    """Return CPU, instruction sets and library versions."""
    machine = {"cpu": describe_cpu(), "instruction_sets": list_instruction_sets()}
    if "ONEDNN_MAX_CPU_ISA" in os.environ:
        machine["onednn_max_cpu_isa"] = os.environ["ONEDNN_MAX_CPU_ISA"]
    return machine | {package: version(package) for package in PACKAGES}


def describe_cpu() -> str:
    """Return the CPU's name; under Linux also family, model and stepping."""
    facts = read_cpuinfo()
    if "model name" in facts:
        numbers = [facts.get(name, "?") for name in ("cpu family", "model", "stepping")]
        return "{}, family {}, model {}, stepping {}".format(facts["model name"], *numbers)
    if "CPU part" in facts:  # ARM
        numbers = [facts.get(name, "?") for name in ("CPU implementer", "CPU part")]
        return "{}, implementer {}, part {}".format(platform.machine(), *numbers)
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, encoding="utf-8").stdout.strip()
    return platform.machine()


def list_instruction_sets() -> str:
    """Return the CPU's `INSTRUCTION_SETS`, or its architecture if none is known."""
    facts = read_cpuinfo()
    flags = (facts.get("flags") or facts.get("Features") or "").split()
    return " ".join(name for name in INSTRUCTION_SETS if name in flags) or platform.machine()


def read_cpuinfo() -> dict[str, str]:
    """Return what Linux reports of the first CPU; empty on other systems."""
    if not CPUINFO.exists():
        return {}
    first, _, _ = CPUINFO.read_text(encoding="utf-8").partition("\n\n")
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
