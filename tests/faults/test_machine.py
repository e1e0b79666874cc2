"""A full disk, a lack of permission, a lack of memory: all really caused.

The message names the stage, the file and the setting that helps; once the fault is gone, the stage
writes what an undisturbed one writes.
"""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress

import cv2
import numpy as np
import pytest
from cloned import ROOT
from faults_study import Study, command_of, make_tiny
from made_up_study import make_study, write_study

from lesions.imaging.arrays import create_array

STUDY = "data/sets/study"
AGAIN = "then run 'dvc repro' again"
# Stage to its full name, the flag of an output on the full disk, that disk's size in kB, and the
# path and the setting in the message.
FULL = {
    "ingest": (
        "ingest@study",
        "--raw full/raw",
        100,
        "full",
        "sets.study.source.n_images (of synthetic photographs)",
    ),
    "encode": ("encode", "--labels full/labels.csv", 4, "full", "resize.pixels"),
    "resize": ("resize", "--images full/images.npy", 40, "full/images.npy", "resize.pixels"),
    "explore": (
        "explore",
        "--contact-sheet full/contact_sheet.png",
        40,
        "full",
        "explore.photographs_per_class",
    ),
}


def option(name):
    return f"--{name.replace('_', '-')}"


def fill(folder):
    """Fill a disk to the last byte."""
    with (folder / "fill").open("wb", buffering=0) as stream, suppress(OSError):
        while True:
            stream.write(bytes(4096))
    assert shutil.disk_usage(folder).free == 0


def contents(path):
    """Return the bytes of every file at or below a path."""
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    return {file.relative_to(path): file.read_bytes() for file in files if file.is_file()}


@pytest.mark.parametrize(
    ("stage", "name", "flags", "size", "path", "setting"),
    [
        pytest.param(stage, *case, id=stage, marks=[] if stage == "resize" else pytest.mark.slow)
        for stage, case in FULL.items()
    ],
)
def test_a_full_disk_is_reported_and_with_more_space_the_stage_writes_the_same(
    study, small_disk, stage, name, flags, size, path, setting
):
    flag, output = flags.split()
    if stage == "explore":  # the others have run in `prepared`
        assert study.run(stage)[0] == 0
    folder = "plots" if stage == "explore" else STUDY
    expected = contents(study.folder / folder / output.removeprefix("full/"))
    assert expected
    small_disk(study.folder / "full", size)
    code, printed = study.run(stage, flags=[flag, output])
    assert code == 1
    assert printed == (
        f"Stage {name} could not write {path}: No space left on device; free disk space or lower "
        f"{setting} in params.yaml, {AGAIN}"
    )
    remount = f"remount,size={10 * 1024}k"
    subprocess.run(["mount", "-o", remount, study.folder / "full"], check=True)
    assert study.run(stage, flags=[flag, output])[0] == 0
    assert contents(study.folder / output) == expected


def test_the_space_of_an_array_is_allocated_before_it_is_filled(tmp_path, small_disk):
    small_disk(tmp_path / "full", 100)
    # Without that, a write would end the process by SIGBUS, without a message.
    with pytest.raises(OSError, match="No space left") as full:
        create_array(tmp_path / "full/a.npy", shape=(200, 1000), dtype="uint8")
    assert full.value.filename == str(tmp_path / "full/a.npy")
    assert list((tmp_path / "full").iterdir()) == []
    array = create_array(tmp_path / "full/a.npy", shape=(50, 1000), dtype="uint8")
    fill(tmp_path / "full")
    array[:] = 7  # its space is allocated, however full the disk is
    array.flush()


def test_a_report_on_a_full_disk_is_reported(tmp_path, small_disk):
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    study = Study(tmp_path)
    study.edit(make_tiny)
    files = write_study(tmp_path, make_study())
    del files["labels"]  # for the model card
    files |= {"template": str(ROOT / "templates/report.html.j2"), "report": "full/report.html"}
    flags = [word for name, file in files.items() for word in (option(name), file)]
    small_disk(tmp_path / "full", 40)
    code, printed = study.run("report", flags=flags)
    assert code == 1, printed
    assert printed == (
        "Stage report could not write full: No space left on device; free disk space or lower "
        f"resize.pixels in params.yaml, {AGAIN}"
    )
    subprocess.run(["mount", "-o", "remount,size=20480k", tmp_path / "full"], check=True)
    assert study.run("report", flags=flags)[0] == 0
    assert (tmp_path / "full/report.html").read_text(encoding="utf-8").rstrip().endswith("</html>")


LOCKED = {
    "a read-only folder": ("split", "--partitions locked/p.csv", 0o555, "locked/p.csv"),
    "a folder without permission to enter": (
        "split",
        "--labels locked/l.csv",
        0o000,
        "locked/l.csv",
    ),
    "a new folder in a read-only one": (
        "split",
        "--partitions locked/new/p.csv",
        0o555,
        "locked/new",
    ),
    "photographs in a read-only folder": (
        "ingest",
        "--raw locked/raw",
        0o555,
        "locked/raw.new",
    ),
}


@pytest.mark.parametrize(("stage", "flags", "mode", "path"), LOCKED.values(), ids=LOCKED)
def test_a_lack_of_permission_is_reported(study, unprivileged, stage, flags, mode, path):
    (study.folder / "locked").mkdir()
    if "--labels" in flags:
        shutil.copy(study.folder / STUDY / "labels.csv", study.folder / "locked/l.csv")
    (study.folder / "locked").chmod(mode)
    code, printed = study.run(stage, before=unprivileged, flags=flags.split())
    assert code == 1
    assert printed == (
        f"Stage {stage}@study has no access to {path}: Permission denied; change its permissions "
        f"or owner (see 'ls -ld'), {AGAIN}"
    )
    (study.folder / "locked").chmod(0o755)
    assert study.run(stage, before=unprivileged, flags=flags.split())[0] == 0


def test_an_input_without_permission_to_read_is_reported(study, unprivileged):
    images = study.folder / STUDY / "images.npy"
    images.chmod(0)
    code, printed = study.run("balance", before=unprivileged)
    assert code == 1
    assert printed.startswith(
        f"Stage balance has no access to {STUDY}/images.npy: Permission denied; change its "
    )
    images.chmod(0o644)
    assert study.run("balance", before=unprivileged)[0] == 0


def test_unreadable_photographs_are_reported_before_any_stage_runs(study, unprivileged):
    shutil.copy(ROOT / "dvc.yaml", study.folder)
    (study.folder / "data/source/locked").mkdir(mode=0)
    check = [*unprivileged, sys.executable, ROOT / "tools/profiles.py", "check"]
    env = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(check, cwd=study.folder, env=env, capture_output=True, encoding="utf-8")
    assert done.stderr == (
        "params.yaml: sets.study.source.path: data/source/locked cannot be read (Permission "
        "denied); change its permissions. Nothing was changed.\n"
    )
    (study.folder / "data/source/locked").chmod(0o755)
    subprocess.run(check, cwd=study.folder, env=env, check=True)


@pytest.mark.parametrize("path", ["ro/p.csv", "ro/new/p.csv"])
def test_a_read_only_disk_is_reported(study, small_disk, path):
    small_disk(study.folder / "ro", 100, "ro")
    code, printed = study.run("split", flags=["--partitions", path])
    assert code == 1
    named = path.removesuffix("/p.csv") if "new" in path else path
    assert printed.startswith(
        f"Stage split@study has no access to {named}: Read-only file system; "
    )
    assert printed.endswith(AGAIN)


# Memory


def test_an_array_larger_than_memory_is_reported_with_the_setting(study):
    # 70 photographs × 2048² pixels × 3 = 881 MB
    study.edit(lambda params: params["resize"].update(pixels=2048))
    code, printed = study.run("resize", limit=300, flags=["--images", "big.npy"])
    assert code == 1
    assert printed == (
        "Stage resize ran out of memory ([Errno 12] Cannot allocate memory); close other programs "
        f"or lower resize.pixels in params.yaml, {AGAIN}"
    )
    study.edit(lambda params: params["resize"].update(pixels=32))
    assert study.run("resize", limit=300, flags=["--images", "big.npy"])[0] == 0
    assert contents(study.folder / "big.npy") == contents(study.folder / STUDY / "images.npy")


def test_a_photograph_larger_than_memory_is_not_taken_for_a_broken_one(study):
    path = min((study.folder / STUDY / "raw").rglob("*.jpg"))
    path.unlink()  # a hard link would be written through
    cv2.imwrite(str(path), np.zeros((6000, 8000, 3), np.uint8))  # 144 MB when decoded
    study.edit(lambda params: params["resize"].update(decode="full"))
    code, printed = study.run("resize", limit=100, flags=["--images", "new.npy"])
    assert code == 1
    assert printed.startswith("Stage resize ran out of memory (")
    assert "fetch it again" not in printed


@pytest.mark.slow
def test_features_larger_than_memory_are_reported_with_the_setting(study):
    code, printed = study.run("features", model="vgg16", limit=200, in_dvc=True)
    assert code in (1, -signal.SIGABRT, -signal.SIGSEGV), printed
    # TensorFlow raises an error or, where a library within it gets no memory, crashes.
    how = "ran out of memory (" if code == 1 else "was killed or crashed; probably out of memory"
    assert f"Stage features@vgg16 {how}" in printed
    assert f"lower backbones.vgg16.input_pixels or resize.pixels in params.yaml, {AGAIN}" in printed
    assert study.run("features", model="vgg16")[0] == 0


@pytest.mark.slow
def test_a_training_larger_than_memory_is_reported_with_the_setting(study):
    # 256 rows × 32² pixels × 4000 filters × 4 bytes = 4 GB of activations
    study.edit(lambda params: params["models"]["cnn"].update(filters=[4000, 2], batch_size=256))
    code, printed = study.run("train", limit=2500)
    assert code == 1, printed
    assert "OOM when allocating tensor" in printed
    assert "Stage train@cnn ran out of memory (" in printed
    assert (
        "lower models.cnn.batch_size, its layers, its input_pixels or resize.pixels in params.yaml"
        in printed
    )


@pytest.fixture(scope="module")
def trained(prepared, tmp_path_factory):
    """The bytes of the model that a training without a fault saves."""
    folder = tmp_path_factory.mktemp("trained") / "study"
    shutil.copytree(prepared, folder)
    assert Study(folder).run("train")[0] == 0
    return (folder / "models/cnn.keras").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("flag", ["--checkpoint", "--model", "--curve"])
def test_a_training_on_a_full_disk_resumes_and_ends_with_the_same_bytes(
    study, trained, small_disk, flag
):
    path = {"--checkpoint": "full/cnn", "--model": "full/cnn.keras", "--curve": "full/cnn.csv"}[
        flag
    ]
    small_disk(study.folder / "full", 8 if flag == "--checkpoint" else 4)
    if flag == "--curve":
        fill(study.folder / "full")
    code, printed = study.run("train", flags=[flag, path])
    assert code == 1
    assert "Stage train@cnn could not write full: No space left on device; " in printed
    assert "lower models.cnn.batch_size" in printed
    subprocess.run(["mount", "-o", "remount,size=10240k", study.folder / "full"], check=True)
    done = subprocess.run(
        [sys.executable, *command_of("train"), flag, path],
        cwd=study.folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    resumed = {"--checkpoint": None, "--model": "after epoch 3 of 3", "--curve": "after epoch 1 of"}
    assert ("resuming" in done.stdout) == (resumed[flag] is not None)
    assert (resumed[flag] or "") in done.stdout
    kept = study.folder / (path if flag == "--model" else "models/cnn.keras")
    assert kept.read_bytes() == trained
    assert not (study.folder / ".checkpoints/cnn").exists()


def test_an_output_is_restored_completely_or_not_at_all(tmp_path, small_disk):
    """By DVC from its run cache, to a disk that is full, read-only, and then neither."""

    def reproduce(code):
        dvc = [sys.executable, "-m", "dvc", "repro"]
        done = subprocess.run(dvc, cwd=tmp_path, capture_output=True, encoding="utf-8")
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    full = tmp_path / "full"
    small_disk(full, 1024)
    command = "echo >> ran; head -c 300000 /dev/urandom > full/drawn"
    stage = f'cmd: "{command}", deps: [input], outs: [full/drawn]'
    (tmp_path / "dvc.yaml").write_text(f"stages: {{draw: {{{stage}}}}}", encoding="utf-8")
    (tmp_path / "input").touch()
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    (tmp_path / ".dvc/config").write_text(
        "[core]\n    no_scm = True\n    analytics = false\n", encoding="utf-8"
    )
    reproduce(0)
    drawn = full / "drawn"
    content = drawn.read_bytes()
    drawn.unlink()
    (full / "other").write_bytes(bytes(900_000))  # too little space is left for the output
    assert "failed to reproduce 'draw'" in reproduce(255)
    assert not drawn.exists()
    (full / "other").unlink()
    subprocess.run(["mount", "-o", "remount,ro", full], check=True)
    assert "failed to reproduce 'draw'" in reproduce(255)
    subprocess.run(["mount", "-o", "remount,rw", full], check=True)
    assert "Stage 'draw' is cached - skipping run, checking out outputs" in reproduce(0)
    assert drawn.read_bytes() == content
    assert (tmp_path / "ran").read_text(encoding="utf-8") == "\n"
