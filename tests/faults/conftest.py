"""The tiny study, prepared once, and what takes a disk's room or root's rights away."""

import os
import resource
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from faults_study import ROOT, Study, command_of, tiny


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """The tiny study, run up to and including `balance`; copy it, leave it as it is."""
    folder = tmp_path_factory.mktemp("prepared")
    shutil.copy(ROOT / "params.yaml", folder)
    (folder / "data/source").mkdir(parents=True)
    study = Study(folder)
    study.edit(tiny)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "excepthook", sys.excepthook)
        for stage in ("ingest", "encode", "resize", "split", "balance"):
            if stage == "split":  # no near-duplicates are looked for
                labels = pd.read_csv("data/labels.csv")
                groups = labels[["image_id"]].assign(group=labels["lesion_id"])
                groups.to_csv("data/groups.csv", index=False)
            patch.setattr(sys, "argv", command_of(stage))
            runpy.run_path(sys.argv[0], run_name="__main__")
    return folder


@pytest.fixture
def study(prepared, tmp_path):
    """A copy of the prepared study, the caller's own."""
    shutil.copytree(prepared, tmp_path / "study")
    return Study(tmp_path / "study")


@pytest.fixture
def small_disk(tmp_path):
    """Give a function that mounts a disk of so many kB at a folder; it is taken off afterwards."""
    mounted = []

    def mount(folder: Path, size: int, options: str = "rw") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}k,{options}", "tmpfs", folder]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("a small disk needs the right to mount one")
        mounted.append(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def as_nobody_special():
    """Give the words before a command that takes from root the right to pass over permissions."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root passes over permissions, and there is no setpriv to keep it from that")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]


@pytest.fixture(autouse=True)
def no_core_files():
    """A process that is killed leaves no memory image behind."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)
