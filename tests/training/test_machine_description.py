import json
from importlib.metadata import version

import pytest

from lesions.training import machine

AMD = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC 9R14
stepping\t: 1
flags\t\t: fpu sse4_2 fma avx avx2 avx512f

processor\t: 1
model name\t: another
"""
ARM = """processor\t: 0
Features\t: fp asimd sve
CPU implementer\t: 0x41
CPU part\t: 0xd40
"""


@pytest.mark.parametrize(
    ("cpuinfo", "cpu", "instruction_sets"),
    [
        (AMD, "AMD EPYC 9R14, family 25, model 17, stepping 1", "avx2 fma avx512f"),
        (ARM, "aarch64, implementer 0x41, part 0xd40", "asimd sve"),
    ],
)
def test_a_cpu_is_described_as_linux_does(monkeypatch, tmp_path, cpuinfo, cpu, instruction_sets):
    file = tmp_path / "cpuinfo"
    file.write_text(cpuinfo, encoding="utf-8")
    monkeypatch.setattr(machine, "CPUINFO", file)
    monkeypatch.setattr(machine.platform, "machine", lambda: "aarch64")
    found = machine.describe_machine()
    assert found["cpu"] == cpu
    assert found["instruction_sets"] == instruction_sets


def test_without_linux_the_architecture_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "none")
    monkeypatch.setattr(machine.platform, "machine", lambda: "riscv64")
    monkeypatch.setattr(machine.sys, "platform", "freebsd")
    found = machine.describe_machine()
    assert found["cpu"] == found["instruction_sets"] == "riscv64"


def test_versions_are_those_that_are_installed_and_all_can_be_written_as_json(monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    found = machine.describe_machine()
    assert found["tensorflow"] == version("tensorflow")
    assert found["onednn_max_cpu_isa"] == "AVX2"
    assert json.loads(json.dumps(found)) == found
