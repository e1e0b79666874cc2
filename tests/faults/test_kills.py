"""`kill -9` in the midst of a stage, of DVC, and of both; then `dvc repro` as if nothing had been.

The kill comes while the output is half written, and it is seen that it is.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.slow
# Stage to its output, and to what is there while the stage is in the midst of it.
MIDST = {
    "ingest": ("data/raw", "data/raw.new/*/*.jpg"),
    "resize": ("data/images.npy", "data/images.npy"),
    "features@vgg16": ("data/features/vgg16", "data/features/vgg16/train.npy"),
    "train@cnn": ("models/cnn.keras", ".resume/cnn/*/state.npz"),
    "report": ("plots/report.html", None),
}
KILLS = [(stage, "the stage") for stage in MIDST] + [
    ("train@cnn", "DVC"),
    ("features@vgg16", "DVC"),
    ("train@cnn", "both"),
    ("ingest", "both"),
]


def until(condition, seconds=120):
    """Wait until something holds; give it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.005)
    raise AssertionError(f"it did not come to hold in {seconds} s")


class Reproduction:
    """A `dvc repro` in the background, in a process group of its own."""

    def __init__(self, folder: Path, *flags: str):
        self.folder = folder
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
        """Wait for a stage's process."""
        script = f"stages/{name.partition('@')[0]}.py"

        def find():
            assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
            children = psutil.Process(self.process.pid).children(recursive=True)
            return next((child for child in children if script in command(child)), None)

        return until(find)

    def end(self) -> tuple[int, str]:
        """Wait for the end; give the exit code and what was printed."""
        return self.process.wait(timeout=300), self.log.read_text(encoding="utf-8")


def command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline() if process.name().startswith("python") else []
    except psutil.Error:
        return []


def contents(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    return {str(file): file.read_bytes() for file in files if file.is_file()}


def files_in_cache(folder: Path) -> list[Path]:
    return [path for path in (folder / ".dvc/cache/files").rglob("*") if path.is_file()]


def forget(folder: Path, output: str) -> None:
    """Take an output from DVC's cache, so that the stage itself must run again."""
    shutil.rmtree(folder / ".dvc/cache/runs", ignore_errors=True)
    known = set(contents(folder / output).values())
    for path in files_in_cache(folder):
        if path.read_bytes() in known:
            path.unlink()


def outputs(folder: Path) -> dict[str, bytes]:
    """Give every file that stages made, and the lock."""
    places = ("data", "models", "metrics", "plots", "predictions", "dvc.lock")
    return {name: data for place in places for name, data in contents(folder / place).items()}


@pytest.fixture(scope="module")
def undisturbed(clone):
    """The clone after one run that nothing disturbed, and every file of it."""
    # A training that lasts longer than a stage takes to see that its DVC is gone.
    clone.edit(lambda params: params["models"]["cnn"].update(epochs=60))
    clone.repro()
    return clone, outputs(clone.folder)


@pytest.mark.parametrize(
    ("stage", "killed"), KILLS, ids=[" of ".join(kill[::-1]) for kill in KILLS]
)
def test_after_a_kill_a_second_run_gives_what_an_undisturbed_one_gives(undisturbed, stage, killed):
    clone, expected = undisturbed
    folder = clone.folder
    output, sign = MIDST[stage]
    forget(folder, output)
    run = Reproduction(folder, "--single-item", "--force", stage)
    process = run.stage(stage)
    until(lambda: any(folder.glob(sign)) if sign else process.cpu_times().user > 0.3)
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
        # 137 where $SHELL does not hand its process over to the command, as dash does not.
        assert re.search("exited with (-9|137)", printed)
        # `report` is killed while it still imports, and leaves no words yet.
        words = "must come to an end of its own; it was killed, or crashed." in printed
        assert words == (sign is not None)
    else:
        assert "must come to an end of its own" not in printed
        gone = time.monotonic()
        until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, 5)
        assert killed == "both" or time.monotonic() - gone < 5
    half = contents(folder / output)
    assert half != {
        name: expected[name] for name in expected if name.startswith(str(folder / output))
    }
    assert (folder / "dvc.lock").read_bytes() == expected[str(folder / "dvc.lock")]

    printed = clone.run("dvc", "repro")
    assert f"Running stage '{stage}'" in printed
    # What was computed before the kill is not computed again.
    assert ("taking up after epoch" in printed) == (stage == "train@cnn")
    assert printed.count("Running stage") == 1
    found = outputs(folder)
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []
    assert not (folder / ".resume/cnn").exists()


def test_a_training_whose_dvc_was_killed_never_meets_the_next_one(undisturbed):
    """The second `dvc repro` comes at once, as from an impatient user."""
    clone, expected = undisturbed
    forget(clone.folder, "models/cnn.keras")
    run = Reproduction(clone.folder, "--single-item", "--force", "train@cnn")
    first = run.stage("train@cnn")
    until(lambda: any(clone.folder.glob(MIDST["train@cnn"][1])))
    run.process.kill()
    run.process.wait()
    again = Reproduction(clone.folder)
    second = again.stage("train@cnn")
    assert second.pid != first.pid
    assert not first.is_running() or first.status() == psutil.STATUS_ZOMBIE
    code, printed = again.end()
    assert code == 0, printed
    found = outputs(clone.folder)
    assert [name for name in expected if found.get(name) != expected[name]] == []


def test_a_second_repro_beside_a_first_says_that_it_is_busy_and_spoils_nothing(undisturbed):
    clone, expected = undisturbed
    forget(clone.folder, "models/cnn.keras")
    run = Reproduction(clone.folder, "--single-item", "--force", "train@cnn")
    until(lambda: any(clone.folder.glob(MIDST["train@cnn"][1])))
    run_pid = run.process.pid
    printed = clone.run("dvc", "repro", "--force", "--single-item", "train@cnn", fails=True)
    assert "is busy, it is being blocked by" in printed
    assert str(run_pid) in printed
    code, printed = run.end()
    assert code == 0, printed
    found = outputs(clone.folder)
    assert [name for name in expected if found.get(name) != expected[name]] == []


# What DVC made is spoilt


SPOILT = [
    ("data/labels.csv", "edited"),
    ("data/images.npy", "deleted"),
    ("data/images.npy", "cut short"),
    ("data/raw", "deleted"),
    ("data/raw", "edited"),
    ("models/cnn.keras", "emptied"),
    ("metrics/split.json", "edited"),
]


@pytest.mark.parametrize(("output", "spoilt"), SPOILT, ids=[" ".join(case) for case in SPOILT])
def test_an_output_that_is_spoilt_is_made_whole_again(undisturbed, output, spoilt):
    clone, expected = undisturbed
    path = clone.folder / output
    if path.is_dir():
        path = min(path.rglob("*.jpg"))
    content = path.read_bytes()
    path.unlink()  # it may be a link into the cache
    if spoilt != "deleted":
        new = {"edited": content + b"\n", "cut short": content[: len(content) // 2], "emptied": b""}
        path.write_bytes(new[spoilt])
    clone.run("dvc", "repro")
    found = outputs(clone.folder)
    assert [name for name in expected if found.get(name) != expected[name]] == []


@pytest.mark.parametrize("how", ["other bytes", "cut short", "deleted"])
def test_a_spoilt_file_of_the_cache_is_never_handed_out(undisturbed, how):
    clone, expected = undisturbed
    model = clone.folder / "models/cnn.keras"
    content = expected[str(model)]
    cached = next(path for path in files_in_cache(clone.folder) if path.read_bytes() == content)
    cached.chmod(0o644)
    if how == "deleted":
        cached.unlink()
    else:
        cached.write_bytes(content[::-1] if how == "other bytes" else content[:99])
    model.unlink()
    clone.run("dvc", "repro")
    found = outputs(clone.folder)
    assert [name for name in expected if found.get(name) != expected[name]] == []


def test_two_workers_of_the_queue_of_experiments_each_give_a_whole_result(undisturbed):
    clone, _ = undisturbed
    clone.run("git", "add", "--all")
    clone.run("git", "commit", "--quiet", "--message", "undisturbed")
    for decimals in (2, 3):
        change = f"evaluate.decimals={decimals}"
        clone.run("dvc", "exp", "run", "--queue", "--name", f"by-{decimals}", "-S", change)
    clone.run("dvc", "queue", "start", "--jobs", "2")

    def states():
        return re.findall(r"by-\d.*(Success|Failed)", clone.run("dvc", "queue", "status"))

    until(lambda: len(states()) == 2, 400)
    assert states() == ["Success", "Success"]
    for decimals in (2, 3):
        shown = clone.run("git", "show", f"{branch_of(clone, decimals)}:metrics/split.json")
        assert shown == (clone.folder / "metrics/split.json").read_text(encoding="utf-8")
        text = clone.run("git", "show", f"{branch_of(clone, decimals)}:metrics/evaluation/cnn.json")
        numbers = [float(number) for number in re.findall(r"\d+\.\d+", text)]
        # What would be rounded to nothing keeps two digits.
        assert all(round(number, decimals) in (number, 0) for number in numbers)


def branch_of(clone, decimals) -> str:
    listed = clone.run("git", "for-each-ref", "--format=%(refname)", "refs/exps")
    return next(ref for ref in listed.split() if ref.endswith(f"/by-{decimals}"))
