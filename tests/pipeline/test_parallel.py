"""Stages at once, on four short ones; tests/stages/test_pipeline.py runs the real ones so."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import yaml
from cloned import ROOT

from lesions.imaging.threads import n_workers

DVC = (sys.executable, "-m", "dvc")
PARALLEL = (sys.executable, "-m", "lesions.pipeline.parallel")
LOCKS = (sys.executable, "-m", "lesions.pipeline.locks")
PIPELINE = """
stages:
  first:
    cmd: sh stage.sh first
    outs: [first.txt]
  work:
    foreach: [a, b]
    do:
      cmd: sh stage.sh work@${item}
      deps: [first.txt]
      outs: ["work@${item}.txt"]
  gather:
    cmd: sh stage.sh gather
    deps: ["work@a.txt", "work@b.txt"]
    outs: [gather.txt]
"""
# Logs when it begins and ends, and runs what a test has put into acts/ in between.
STAGE = """
echo "$1 begins" >> stamps
if [ -f "acts/$1" ]; then . "./acts/$1"; fi
echo "$1" > "$1.txt"
echo "$1 ends" >> stamps
"""
ENVIRONMENT = "env > environment"
# As a stage of this repository: it ends with the DVC that runs it.
VICTIM = """
import os, sys, time
sys.argv[0] = "stage.sh"  # which DVC's shell runs
from lesions.pipeline.watchdog import end_with_dvc
end_with_dvc()
open("victim", "w").write(str(os.getpid()))
time.sleep(600)
"""
BLOCKED = f"exec {sys.executable} victim.py"


class Toy:
    """The short pipeline in a folder of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.lock = folder / "dvc.lock"
        (folder / "acts").mkdir()
        (folder / "dvc.yaml").write_text(PIPELINE, encoding="utf-8")
        (folder / "stage.sh").write_text(STAGE, encoding="utf-8")
        (folder / "victim.py").write_text(VICTIM, encoding="utf-8")
        (folder / ".dvc/tmp").mkdir(parents=True)  # as 'dvc init --no-scm' does, in no time
        (folder / ".dvc/config").write_text(
            "[core]\n    no_scm = True\n    analytics = false\n", encoding="utf-8"
        )

    def act(self, stage: str, act: str) -> None:
        (self.folder / "acts" / stage).write_text(act, encoding="utf-8")

    def start(self, *command: str) -> subprocess.Popen:
        return subprocess.Popen(
            command,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,
        )

    def run(self, *command: str, code: int = 0) -> str:
        return self.end(self.start(*command), code=code)

    def end(self, process: subprocess.Popen, code: int = 0) -> str:
        """Wait for a process; return what it printed."""
        printed, _ = process.communicate(timeout=120)
        assert process.returncode == code, printed
        return printed

    def stamps(self) -> list[str]:
        file = self.folder / "stamps"
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    def recorded(self) -> dict:
        return yaml.safe_load(self.lock.read_text(encoding="utf-8"))["stages"]

    def environment(self) -> dict[str, str]:
        """Return the variables that the stage `first` saw, but for those of DVC and the shell."""
        lines = (self.folder / "environment").read_text(encoding="utf-8").splitlines()
        seen = dict(line.partition("=")[::2] for line in lines if "=" in line)
        ignored = ("DVC", "DASK", "_", "SHLVL", "PWD", "OLDPWD", "PYTEST_CURRENT_TEST")
        # Dask sets them for its workers. No result depends on them: lesions.pipeline.environment
        # removes those of BLAS and OpenMP.
        ignored += ("PYTHONHASHSEED", "MALLOC_TRIM_THRESHOLD_")
        ignored += ("MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        ignored += ("OPENCV_IO_MAX_IMAGE_PIXELS",)  # set by whatever imports lesions
        return {name: seen[name] for name in seen if not name.startswith(ignored)}

    @contextmanager
    def lock_of_dvc(self):
        """Hold the lock that every DVC takes while it runs no command."""
        with (self.folder / ".dvc/tmp/lock").open("a", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def victim(self) -> int:
        """Wait until a stage is blocked; return its process id."""
        file = self.folder / "victim"
        until(lambda: file.exists() and file.read_text(encoding="utf-8"))
        return int(file.read_text(encoding="utf-8"))

    def processes(self) -> list[psutil.Process]:
        """Return the processes that run in the folder."""
        found = psutil.process_iter(["cwd"])
        return [process for process in found if process.info["cwd"] == str(self.folder)]


def until(condition, seconds=60):
    """Wait until a condition is true; return its value."""
    for _ in range(seconds * 20):
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not true after {seconds} s")


@pytest.fixture(scope="module", autouse=True)
def no_number_of_workers():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("LESIONS_WORKERS", raising=False)
        yield


@pytest.fixture
def toy(tmp_path):
    toy = Toy(tmp_path.resolve())
    yield toy
    for process in toy.processes():  # of a test that failed
        process.kill()


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    """The pipeline after a plain `dvc repro`."""
    toy = Toy(tmp_path_factory.mktemp("serial").resolve())
    toy.act("first", ENVIRONMENT)
    toy.run(*DVC, "repro")
    return toy


def test_two_stages_run_at_once_and_leave_the_lock_of_a_serial_run(toy, serial):
    toy.act("first", ENVIRONMENT)
    # Each waits for the other: one after the other, neither would end. b is recorded first.
    toy.act("work@a", "until grep -q work@b dvc.lock; do sleep .1; done")
    toy.act("work@b", "until grep -q 'work@a begins' stamps; do sleep .1; done")
    toy.run(*PARALLEL, "2")
    stamps = toy.stamps()
    assert stamps.index("work@a begins") < stamps.index("work@b ends")
    assert stamps.index("work@b begins") < stamps.index("work@a ends")
    assert stamps[-2:] == ["gather begins", "gather ends"]
    assert toy.lock.read_bytes() == serial.lock.read_bytes()
    # Threads of BLAS and OpenMP as in a serial run; only our own are shared out.
    ours, its = toy.environment(), serial.environment()
    assert ours.pop("LESIONS_WORKERS") == str(max(1, n_workers() // 2))
    assert ours == its
    assert "up to date" in toy.run(*PARALLEL, "2")
    assert toy.stamps() == stamps


def test_a_failing_stage_says_why_and_only_what_needs_it_does_not_run(toy, serial):
    toy.act("work@b", "echo it is broken; exit 3")
    printed = toy.run(*PARALLEL, "2", code=1)
    assert "it is broken" in printed
    assert "gather not run: work@b failed" in printed
    assert list(toy.recorded()) == ["first", "work@a"]
    assert "gather begins" not in toy.stamps()
    (toy.folder / "acts/work@b").unlink()
    toy.run(*PARALLEL, "2")
    assert toy.stamps().count("work@a begins") == 1
    assert toy.lock.read_bytes() == serial.lock.read_bytes()


def test_a_stage_whose_worker_is_killed_runs_again_and_nothing_goes_on_without_it(toy, serial):
    toy.act("work@a", f"if mkdir once; then {BLOCKED}; fi")
    tool = toy.start(*PARALLEL, "2")
    victim = psutil.Process(toy.victim())
    worker = next(p for p in victim.parents() if "spawn_main" in " ".join(p.cmdline()))
    worker.kill()
    toy.end(tool)
    assert [stamp for stamp in toy.stamps() if "work@a" in stamp] == [
        "work@a begins",
        "work@a begins",
        "work@a ends",
    ]
    until(lambda: not victim.is_running() or victim.status() == psutil.STATUS_ZOMBIE, seconds=5)
    assert toy.processes() == []
    assert toy.lock.read_bytes() == serial.lock.read_bytes()


@pytest.mark.parametrize(
    ("stopped", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_run_that_is_stopped_leaves_no_process_and_nothing_in_the_way_of_dvc(
    toy, serial, stopped, code
):
    toy.act("work@a", BLOCKED)
    tool = toy.start(*PARALLEL, "2")
    toy.victim()
    until(lambda: "work@b" in toy.lock.read_text(encoding="utf-8"))
    os.kill(tool.pid, stopped) if code < 0 else os.killpg(tool.pid, stopped)
    printed = toy.end(tool, code=code)
    assert "Traceback" not in printed
    until(lambda: not toy.processes(), seconds=20)
    (toy.folder / "acts/work@a").unlink()
    toy.run(*LOCKS)  # as `make repro` does; nobody may have reaped the killed processes
    toy.run(*DVC, "repro")
    assert toy.stamps().count("work@b begins") == 1
    assert toy.recorded() == serial.recorded()


def test_another_dvc_in_the_same_folder_is_named_and_nothing_runs(toy, serial):
    toy.act("first", "until [ -f go ]; do sleep .1; done")
    other = toy.start(*DVC, "repro", "first")
    until(lambda: "first begins" in toy.stamps())
    printed = toy.run(*PARALLEL, "2", code=1)
    assert printed.startswith("ERROR: ")
    assert "is busy, it is being blocked by" in printed
    assert str(other.pid) in printed
    (toy.folder / "go").touch()
    toy.end(other)
    assert [line for line in toy.stamps() if line.endswith("begins")] == ["first begins"]


@pytest.mark.slow
def test_a_stage_whose_file_another_dvc_has_begun_to_write_waits_for_it(toy, serial):
    toy.act("first", "until [ -f go ]; do sleep .1; done")
    tool = toy.start(*PARALLEL, "2")
    until(lambda: "first begins" in toy.stamps())
    locks = toy.folder / ".dvc/tmp/rwlock"
    file, info = str(toy.folder / "work@a.txt"), {"pid": os.getpid(), "cmd": "dvc repro work@a"}
    with toy.lock_of_dvc():
        content = json.loads(locks.read_text(encoding="utf-8"))
        locks.write_text(
            json.dumps(content | {"write": content["write"] | {file: info}}), encoding="utf-8"
        )
    (toy.folder / "go").touch()
    assert any("work@a waits for another DVC" in line for line in tool.stdout)
    with toy.lock_of_dvc():
        content = json.loads(locks.read_text(encoding="utf-8"))
        del content["write"][file]
        locks.write_text(json.dumps(content), encoding="utf-8")
    toy.end(tool)
    assert toy.lock.read_bytes() == serial.lock.read_bytes()


@pytest.mark.slow
def test_a_stage_that_ends_while_another_dvc_holds_the_lock_is_still_recorded(toy, serial):
    toy.act("first", "until [ -f go ]; do sleep .1; done")
    tool = toy.start(*PARALLEL, "2")
    until(lambda: "first begins" in toy.stamps())
    with toy.lock_of_dvc():
        (toy.folder / "go").touch()
        until(lambda: "first ends" in toy.stamps())
        time.sleep(5)  # DVC gives up after 3 s unless it is told to wait
    toy.end(tool)
    assert toy.lock.read_bytes() == serial.lock.read_bytes()


def test_locks_of_dead_processes_are_removed_though_others_have_their_process_ids(toy, serial):
    info = {"pid": os.getpid(), "cmd": "dvc repro first"}
    write = {str(toy.folder / "first.txt"): info}
    locks = toy.folder / ".dvc/tmp/rwlock"
    locks.write_text(json.dumps({"write": write, "read": {}}), encoding="utf-8")
    assert "is busy" in toy.run(*DVC, "repro", code=255)
    toy.run(*PARALLEL, "1")
    locks.write_text("", encoding="utf-8")  # DVC was killed as it wrote
    assert "up to date" in toy.run(*PARALLEL, "1")
    assert toy.lock.read_bytes() == serial.lock.read_bytes()


def test_a_lock_of_a_running_dvc_is_reported_and_that_of_a_killed_one_removed(toy, serial):
    toy.act("first", BLOCKED)
    dvc = toy.start(*DVC, "repro")
    victim = toy.victim()
    printed = toy.run(*LOCKS, code=1)
    assert "Another DVC runs in this folder" in printed
    assert f"(process {dvc.pid}); wait until it ends" in printed
    assert psutil.pid_exists(victim)
    with toy.lock_of_dvc():
        assert "Another DVC runs in this folder" in toy.run(*LOCKS, code=1)
    os.killpg(dvc.pid, signal.SIGKILL)
    until(lambda: psutil.Process(dvc.pid).status() == psutil.STATUS_ZOMBIE)  # nobody has reaped it
    (toy.folder / "acts/first").unlink()
    assert "is busy" in toy.run(*DVC, "repro", code=255)
    printed = toy.run(*LOCKS)
    assert printed.startswith("Removed stale lock held by '")
    assert f" repro' (process {dvc.pid})" in printed
    assert toy.run(*LOCKS) == ""
    toy.run(*DVC, "repro")
    assert toy.lock.read_bytes() == serial.lock.read_bytes()
    dvc.communicate()


@pytest.mark.slow
def test_a_scheduler_that_runs_already_is_used_and_left_without_a_stage(
    toy, serial, tmp_path_factory
):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    dask = str(Path(sys.executable).with_name("dask"))
    to_scheduler = ("--scheduler-file", str(elsewhere / "scheduler.json"), "--no-dashboard")
    commands = (
        (dask, "scheduler", "--host", "127.0.0.1", "--port", "0", *to_scheduler),
        (dask, "worker", "--nworkers", "2", "--nthreads", "1", *to_scheduler),
    )
    cluster = [
        subprocess.Popen(command, cwd=elsewhere, stderr=subprocess.DEVNULL) for command in commands
    ]
    try:
        until((elsewhere / "scheduler.json").exists)
        address = yaml.safe_load(until((elsewhere / "scheduler.json").read_text))["address"]
        toy.act("first", BLOCKED)
        tool = toy.start(*PARALLEL, address)
        toy.victim()
        tool.send_signal(signal.SIGINT)
        toy.end(tool, code=130)
        until(lambda: not toy.processes(), seconds=20)  # the workers live on, their stages do not
        toy.act("first", ENVIRONMENT)
        toy.act("work@a", "until grep -q work@b dvc.lock; do sleep .1; done")
        toy.act("work@b", "until grep -q 'work@a begins' stamps; do sleep .1; done")
        toy.run(*PARALLEL, address)
    finally:
        for process in reversed(cluster):
            process.terminate()
            process.wait()
    assert toy.lock.read_bytes() == serial.lock.read_bytes()
    assert toy.environment() == serial.environment()


@pytest.mark.parametrize("where", ["two", "0", "-1", ""])
def test_an_invalid_number_of_jobs_is_refused(where):
    refused = subprocess.run((*PARALLEL, where), capture_output=True, encoding="utf-8")
    assert refused.returncode == 1
    assert "JOBS must be a number of stages, at least 1" in refused.stderr
    assert repr(where) in refused.stderr


@pytest.mark.parametrize(
    ("variables", "command"),
    [
        ([], "dvc repro"),
        (["JOBS=1"], "dvc repro"),
        (["JOBS=2"], "python -m lesions.pipeline.parallel 2"),
        (["SCHEDULER=tcp://a:1", "JOBS=2"], "python -m lesions.pipeline.parallel tcp://a:1"),
    ],
)
def test_make_repro_runs_stages_at_once_only_when_asked(tmp_path, variables, command):
    shutil.copy(ROOT / "Makefile", tmp_path)
    dry = ("make", "--dry-run", "--old-file", ".venv/stamp", "repro", *variables)
    # Under `make test` the variables of the outer make would reach the inner one.
    env = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    run = subprocess.run(
        dry, cwd=tmp_path, env=env, check=True, capture_output=True, encoding="utf-8"
    )
    printed = run.stdout
    ran = [line.removeprefix(".venv/bin/") for line in printed.splitlines()]
    assert [line for line in ran if "repro" in line or "parallel" in line] == [command]
