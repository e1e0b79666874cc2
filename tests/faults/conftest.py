"""The tiny study, prepared once; small disks, and root without its privileges."""

import os
import resource
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from cloned import ROOT
from faults_study import Study, command_of, make_tiny


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """The tiny study after the stages up to `balance`; tests work on copies of it."""
    folder = tmp_path_factory.mktemp("prepared")
    shutil.copy(ROOT / "params.yaml", folder)
    (folder / "data/source").mkdir(parents=True)
    study = Study(folder)
    study.edit(make_tiny)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "excepthook", sys.excepthook)
        for stage in ("ingest", "encode", "resize", "split", "balance"):
            if stage == "split":  # without a search for near-duplicates
                labels = pd.read_csv("data/sets/study/labels.csv")
                groups = labels[["image_id"]].assign(group=labels["lesion_id"])
                groups.to_csv("data/sets/study/groups.csv", index=False)
            patch.setattr(sys, "argv", command_of(stage))
            runpy.run_path(sys.argv[0], run_name="__main__")
    return folder


@pytest.fixture
def study(prepared, tmp_path):
    """The test's own copy of the prepared study."""
    shutil.copytree(prepared, tmp_path / "study")
    return Study(tmp_path / "study")


@pytest.fixture
def small_disk(tmp_path):
    """Return a function that mounts a disk of so many kB at a folder until the test ends."""
    mounted = []

    def mount(folder: Path, size: int, options: str = "rw") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}k,{options}", "tmpfs", folder]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("root alone may mount a small disk")
        mounted.append(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def unprivileged():
    """Return the words before a command by which permissions apply to root as well."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("permissions do not apply to root, and setpriv is not installed")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]


@pytest.fixture(autouse=True)
def no_core_files():
    """Have killed processes write no core files."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)
