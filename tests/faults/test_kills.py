"""`kill -9` of a stage, of DVC or of both while an output is half written; then `dvc repro`."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from faults_study import make_tiny, open_clone

pytestmark = pytest.mark.slow
STUDY = "data/sets/study"
# Stage to its output, and to a file that exists while that is half written.
UNFINISHED = {
    "ingest@study": (f"{STUDY}/raw", f"{STUDY}/raw.new/*/*.jpg"),
    "resize@study": (f"{STUDY}/images.npy", f"{STUDY}/images.npy"),
    "features@vgg16": (f"{STUDY}/features/vgg16", f"{STUDY}/features/vgg16/train.npy"),
    "train@cnn": ("models/cnn.keras", ".checkpoints/cnn/*/checkpoint.npz"),
    "report": ("plots/report.html", None),
}
CHECKPOINT = UNFINISHED["train@cnn"][1]
KILLS = [(stage, "the stage") for stage in UNFINISHED] + [
    ("features@vgg16", "DVC"),
    ("train@cnn", "both"),
    ("ingest@study", "both"),
]
OUTPUTS = ("data", "models", "metrics", "plots", "predictions", "evaluation")


def wait_until(condition, seconds=120):
    """Wait until a condition holds, and return its value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.005)
    raise AssertionError(f"the condition did not hold within {seconds} s")


def has_ended(process):
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


class Reproduction:
    """A `dvc repro` in the background, in a process group of its own."""

    def __init__(self, folder: Path, *flags: str):
        self.log = folder.with_name(f"{folder.name}.log")
        environment = os.environ | {"PYTHONPATH": str(folder / "src")}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        with self.log.open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dvc", "repro", *flags],
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stage(self, name: str) -> psutil.Process:
        """Wait for a stage's process, and return it."""
        script = f"stages/{name.partition('@')[0]}.py"

        def find():
            assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
            children = psutil.Process(self.process.pid).children(recursive=True)
            return next((child for child in children if script in command(child)), None)

        return wait_until(find)

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and what was printed."""
        return self.process.wait(timeout=300), self.log.read_text(encoding="utf-8")

    def kill(self) -> None:
        """Kill DVC and all its stages, and wait for DVC."""
        with suppress(ProcessLookupError):  # all have ended
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def command(process: psutil.Process) -> list[str]:
    """Return the command line of a Python process, of any other an empty one."""
    try:
        return process.cmdline() if process.name().startswith("python") else []
    except psutil.Error:
        return []


def contents(folder: Path, *paths: str) -> dict[str, bytes]:
    """Return the bytes of every file at or below paths in a folder."""
    found = {}
    for path in paths:
        files = [folder / path, *sorted((folder / path).rglob("*"))]
        found |= {str(f.relative_to(folder)): f.read_bytes() for f in files if f.is_file()}
    return found


def outputs(folder: Path) -> dict[str, bytes]:
    """Return every file that stages wrote, and the lock file."""
    return contents(folder, *OUTPUTS, "MODEL_CARD.md", "dvc.lock")


def differing(found: dict, expected: dict) -> list[str]:
    """Return the paths of the files that are missing, extra or different."""
    return [name for name in {**expected, **found} if found.get(name) != expected.get(name)]


def files_in_cache(folder: Path) -> list[Path]:
    return [path for path in (folder / ".dvc/cache/files").rglob("*") if path.is_file()]


def remove_from_cache(folder: Path, output: str) -> None:
    """Remove an output from DVC's cache, so that the stage itself must run again."""
    shutil.rmtree(folder / ".dvc/cache/runs", ignore_errors=True)
    if output == f"{STUDY}/raw":  # never cached; another output may have a file of the same content
        return
    known = set(contents(folder, output).values())
    for path in files_in_cache(folder):
        if path.read_bytes() in known:
            path.unlink()


@pytest.fixture(scope="module")
def reproduced(clone):
    """The clone after a run without a fault, committed."""
    # Training takes longer than a stage needs to notice that its DVC has ended.
    clone.edit(make_tiny)
    clone.edit(lambda params: params["models"]["cnn"].update(epochs=40))
    clone.repro()
    clone.commit("reproduced")
    return clone


def copy_or_link(source: str, target: str) -> None:
    """Hard-link a large file: DVC replaces outputs and cached files, and never writes into them."""
    (os.link if os.path.getsize(source) > 1_000_000 else shutil.copy2)(source, target)


@pytest.fixture
def study(reproduced, tmp_path):
    """A test's own copy of that clone, and every file in it that stages wrote."""
    folder = tmp_path / "study"
    shutil.copytree(reproduced.folder, folder, symlinks=True, copy_function=copy_or_link)
    yield open_clone(folder), outputs(folder)
    shutil.rmtree(folder)


@pytest.fixture
def start():
    """Return a function that starts a `Reproduction`; those that still run are killed."""
    started = []

    def start_one(*arguments):
        started.append(Reproduction(*arguments))
        return started[-1]

    yield start_one
    for run in started:
        run.kill()


@pytest.mark.parametrize(
    ("stage", "killed"), KILLS, ids=[" of ".join(kill[::-1]) for kill in KILLS]
)
def test_after_a_kill_a_second_run_gives_the_outputs_of_an_uninterrupted_one(
    study, start, stage, killed
):
    clone, expected = study
    folder = clone.folder
    output, unfinished = UNFINISHED[stage]
    remove_from_cache(folder, output)
    run = start(folder, "--single-item", "--force", stage)
    process = run.stage(stage)
    wait_until(
        lambda: any(folder.glob(unfinished)) if unfinished else process.cpu_times().user > 0.3
    )
    if killed == "the stage":
        process.kill()
    elif killed == "DVC":
        run.process.kill()
    else:
        os.killpg(run.process.pid, signal.SIGKILL)
    code, printed = run.end()
    assert code != 0
    if killed == "the stage":
        assert f"failed to reproduce '{stage}'" in printed
        # bash runs the stage in its own place; dash stays, and returns 128 + 9.
        assert re.search(r"exited with (-9|137)\b", printed), printed
        # `report` is killed while it still imports, before it can leave an explanation.
        explained = " was killed or crashed; probably out of memory." in printed
        assert explained == (unfinished is not None)
    else:
        assert "was killed or crashed" not in printed
        wait_until(lambda: has_ended(process), 5)
    assert differing(contents(folder, output), subset(expected, output)) != []
    assert (folder / "dvc.lock").read_bytes() == expected["dvc.lock"]

    printed = clone.run("dvc", "repro")
    assert f"Running stage '{stage}'" in printed
    # What was computed before the kill is not computed again.
    assert ("resuming after epoch" in printed) == (stage == "train@cnn")
    assert printed.count("Running stage") == 1
    assert differing(outputs(folder), expected) == []
    assert not (folder / ".checkpoints/cnn").exists()


def subset(files: dict, path: str) -> dict:
    """Return those of the files that are at or below a path."""
    return {name: data for name, data in files.items() if Path(name).is_relative_to(path)}


def test_a_training_whose_dvc_was_killed_ends_before_the_next_one_resumes(study, start):
    """The second `dvc repro` is started at once, as by an impatient user."""
    clone, expected = study
    remove_from_cache(clone.folder, "models/cnn.keras")
    run = start(clone.folder, "--single-item", "--force", "train@cnn")
    first = run.stage("train@cnn")
    wait_until(lambda: any(clone.folder.glob(CHECKPOINT)))
    run.process.kill()
    _, printed = run.end()
    assert "was killed or crashed" not in printed
    assert not (clone.folder / "models/cnn.keras").exists()
    again = start(clone.folder)
    second = again.stage("train@cnn")
    assert second.pid != first.pid
    assert has_ended(first)
    code, printed = again.end()
    assert code == 0, printed
    assert "resuming after epoch" in printed
    assert printed.count("Running stage") == 1
    assert differing(outputs(clone.folder), expected) == []
    assert not (clone.folder / ".checkpoints/cnn").exists()


def test_a_second_dvc_beside_a_first_names_it_and_changes_nothing(study, start):
    clone, expected = study
    remove_from_cache(clone.folder, "models/cnn.keras")
    run = start(clone.folder, "--single-item", "--force", "train@cnn")
    wait_until(lambda: any(clone.folder.glob(CHECKPOINT)))
    printed = clone.run("dvc", "repro", "--force", "--single-item", "train@cnn", fails=True)
    assert "is busy, it is being blocked by" in printed
    assert str(run.process.pid) in printed
    code, printed = run.end()
    assert code == 0, printed
    assert differing(outputs(clone.folder), expected) == []


# Damaged outputs and cache


DAMAGED = [
    (f"{STUDY}/labels.csv", "edited"),
    (f"{STUDY}/images.npy", "deleted"),
    (f"{STUDY}/images.npy", "truncated"),
    (f"{STUDY}/raw", "deleted"),
    (f"{STUDY}/raw", "edited"),
    ("models/cnn.keras", "emptied"),
    ("plots/partitions/study.csv", "edited"),
]


@pytest.mark.parametrize(("output", "damage"), DAMAGED, ids=[" ".join(case) for case in DAMAGED])
def test_a_damaged_output_is_replaced(study, output, damage):
    clone, expected = study
    path = clone.folder / output
    if path.is_dir():
        path = min(path.rglob("*.jpg"))
    content = path.read_bytes()
    path.unlink()  # it may be a link into the cache
    if damage != "deleted":
        new = {"edited": content + b"\n", "truncated": content[: len(content) // 2], "emptied": b""}
        path.write_bytes(new[damage])
    clone.run("dvc", "repro")
    assert differing(outputs(clone.folder), expected) == []


@pytest.mark.parametrize("damage", ["other bytes", "truncated", "deleted"])
def test_a_cached_file_that_was_edited_or_deleted_is_not_restored(study, damage):
    """DVC does not check a file that is still read-only, as it left it."""
    clone, expected = study
    labels = f"{STUDY}/labels.csv"
    content = expected[labels]
    cached = next(path for path in files_in_cache(clone.folder) if path.read_bytes() == content)
    cached.unlink()
    if damage != "deleted":
        cached.write_bytes(content[::-1] if damage == "other bytes" else content[:99])
    (clone.folder / labels).unlink()
    assert clone.repro() == ["encode@study"]
    assert differing(outputs(clone.folder), expected) == []
