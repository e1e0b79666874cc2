"""What a stage does when the DVC that runs it is gone."""

import os
import sys
import time
from pathlib import Path

import psutil
import pytest
from faults_study import ROOT

# As a stage begins, and then as a training: busy for longer than any test waits.
STAGE = """
import time
from lesions.orphans import end_with_dvc
end_with_dvc()
open("begun", "w").write("x")
time.sleep(60)
"""
# As DVC runs a stage: a shell with the command as one word. dash keeps the shell, bash does not.
RUNNER = """
import subprocess, sys
shell, script = sys.argv[1:]
subprocess.run([*shell.split(), f"{sys.executable} {script}"])
"""
SHELLS = [
    shell for shell in ("/bin/sh -c", "/bin/bash --norc -c") if Path(shell.split()[0]).exists()
]


@pytest.fixture
def start(tmp_path):
    """Give a function that starts a runner with a stage; give the runner and the stage."""
    (tmp_path / "stage.py").write_text(STAGE, encoding="utf-8")
    started = []

    def start_both(shell, *, variables):
        environment = {name: value for name, value in os.environ.items() if name != "DVC_STAGE"}
        with (tmp_path / "said").open("w", encoding="utf-8") as said:
            runner = psutil.Popen(
                [sys.executable, "-c", RUNNER, shell, "stage.py"],
                cwd=tmp_path,
                env=environment | {"PYTHONPATH": str(ROOT / "src")} | variables,
                stderr=said,
            )
        started.append(runner)
        end = time.monotonic() + 20
        while not (tmp_path / "begun").exists() and time.monotonic() < end:
            time.sleep(0.02)
        stage = next(
            child
            for child in runner.children(recursive=True)
            if child.cmdline()[1:] == ["stage.py"]
        )
        started.append(stage)
        return runner, stage

    yield start_both
    for process in started:
        if process.is_running():
            process.kill()
        process.wait(timeout=5)


def ends(process, seconds):
    """Tell whether a process ends within so many seconds."""
    _, alive = psutil.wait_procs([process], timeout=seconds)
    return not alive


@pytest.mark.parametrize("shell", SHELLS)
def test_a_stage_ends_with_the_dvc_that_runs_it(start, tmp_path, shell):
    runner, stage = start(shell, variables={"DVC_STAGE": "train@cnn"})
    runner.kill()
    assert ends(stage, 5)
    assert "DVC is gone; this stage ends as well" in (tmp_path / "said").read_text(encoding="utf-8")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_stage_goes_on_while_its_dvc_does(start, shell):
    _, stage = start(shell, variables={"DVC_STAGE": "train@cnn"})
    assert not ends(stage, 2)


def test_a_stage_that_someone_runs_by_hand_goes_on_without_the_shell(start):
    runner, stage = start(SHELLS[0], variables={})
    runner.kill()
    assert not ends(stage, 2)
