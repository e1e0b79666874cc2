"""A stage ends when the DVC that runs it is killed."""

import os
import sys
import time
from pathlib import Path

import psutil
import pytest
from cloned import ROOT

# Starts as a stage does, and then runs for longer than any test waits.
STAGE = """
import time
from lesions.pipeline.watchdog import end_with_dvc
end_with_dvc()
open("started", "w").write("x")
time.sleep(60)
"""
# Runs a stage as DVC does: a shell gets the command as one argument. dash stays as the parent of
# the command; bash replaces itself by it.
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
    """Return a function that starts a runner with a stage and returns both processes."""
    (tmp_path / "stage.py").write_text(STAGE, encoding="utf-8")
    processes = []

    def start_both(shell, *, variables):
        environment = {name: value for name, value in os.environ.items() if name != "DVC_STAGE"}
        with (tmp_path / "printed").open("w", encoding="utf-8") as printed:
            runner = psutil.Popen(
                [sys.executable, "-c", RUNNER, shell, "stage.py"],
                cwd=tmp_path,
                env=environment | {"PYTHONPATH": str(ROOT / "src")} | variables,
                stderr=printed,
            )
        processes.append(runner)
        end = time.monotonic() + 20
        while not (tmp_path / "started").exists() and time.monotonic() < end:
            time.sleep(0.02)
        stage = next(
            child
            for child in runner.children(recursive=True)
            if child.cmdline()[1:] == ["stage.py"]
        )
        processes.append(stage)
        return runner, stage

    yield start_both
    for process in processes:
        if process.is_running():
            process.kill()
        process.wait(timeout=5)


def ends(process, seconds):
    """Return whether a process ends within so many seconds."""
    _, alive = psutil.wait_procs([process], timeout=seconds)
    return not alive


@pytest.mark.parametrize("shell", SHELLS)
def test_a_stage_ends_with_the_dvc_that_runs_it(start, tmp_path, shell):
    runner, stage = start(shell, variables={"DVC_STAGE": "train@cnn"})
    runner.kill()
    assert ends(stage, 5)
    printed = (tmp_path / "printed").read_text(encoding="utf-8")
    assert "DVC has ended; ending this stage" in printed


@pytest.mark.parametrize("shell", SHELLS)
def test_a_stage_continues_while_its_dvc_runs(start, shell):
    _, stage = start(shell, variables={"DVC_STAGE": "train@cnn"})
    assert not ends(stage, 2)


def test_a_stage_that_is_run_by_hand_continues_without_its_shell(start):
    runner, stage = start(SHELLS[0], variables={})
    runner.kill()
    assert not ends(stage, 2)
