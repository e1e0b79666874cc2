"""A full disk, a disk or file that may not be used, too little memory: each really caused.

The message names the stage, the file and the setting that helps; once the fault is gone, the stage
gives what an undisturbed one gives.
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
from faults_study import ROOT, Study, command_of
from made_up_study import make_study, write_study

from lesions.arrays import create_array

AGAIN = "then run 'dvc repro' again."
# Stage to the flag that leads onto the full disk, the size of that disk in kB, and the way out.
FULL = {
    "ingest": ("--raw full/raw", 100, "full", "data.n_images (of the demo)"),
    "encode": ("--labels full/labels.csv", 4, "full", "resize.pixels"),
    "resize": ("--images full/images.npy", 40, "full/images.npy", "resize.pixels"),
    "explore": (
        "--contact-sheet full/contact_sheet.png",
        40,
        "full",
        "explore.photographs_per_class",
    ),
}


def fill(folder):
    """Fill a disk to the last byte."""
    with (folder / "fill").open("wb", buffering=0) as stream, suppress(OSError):
        while True:
            stream.write(bytes(4096))
    assert shutil.disk_usage(folder).free == 0


def contents(path):
    """Give every file at or below a path, and its bytes."""
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    return {file.relative_to(path): file.read_bytes() for file in files if file.is_file()}


@pytest.mark.parametrize(
    ("stage", "flags", "size", "place", "knob"),
    [
        pytest.param(stage, *case, id=stage, marks=[] if stage == "resize" else pytest.mark.slow)
        for stage, case in FULL.items()
    ],
)
def test_a_full_disk_is_told_and_once_there_is_room_the_stage_gives_the_same(
    study, small_disk, stage, flags, size, place, knob
):
    flag, output = flags.split()
    code, _ = study.run(stage)
    assert code == 0
    own = output.removeprefix("full/")
    folder = "plots" if stage == "explore" else "data"
    expected = contents(study.folder / folder / own)
    small_disk(study.folder / "full", size)
    code, said = study.run(stage, flags=[flag, output])
    assert code == 1
    assert said == (
        f"Stage {stage} must have room for {place}; No space left on device; free some there or "
        f"lower {knob} in params.yaml, {AGAIN}"
    )
    remount = f"remount,size={10 * 1024}k"
    subprocess.run(["mount", "-o", remount, study.folder / "full"], check=True)
    assert study.run(stage, flags=[flag, output])[0] == 0
    assert contents(study.folder / output) == expected


def test_room_for_an_array_is_taken_before_it_is_filled(tmp_path, small_disk):
    small_disk(tmp_path / "full", 100)
    # Without that, writing beyond the room would end the process by SIGBUS, without a message.
    with pytest.raises(OSError, match="No space left") as full:
        create_array(tmp_path / "full/a.npy", shape=(200, 1000), dtype="uint8")
    assert full.value.filename == str(tmp_path / "full/a.npy")
    assert list((tmp_path / "full").iterdir()) == []
    array = create_array(tmp_path / "full/a.npy", shape=(50, 1000), dtype="uint8")
    fill(tmp_path / "full")
    array[:] = 7  # its room is its own, however full the disk is
    array.flush()


def test_a_report_that_finds_no_room_is_told(tmp_path, small_disk):
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    study = Study(tmp_path)
    study.edit(lambda params: params["models"].pop("resnet50"))
    flags = write_study(tmp_path, *make_study())
    own = ["--template", str(ROOT / "templates/report.html.j2"), "--report", "full/report.html"]
    small_disk(tmp_path / "full", 40)
    code, said = study.run("report", flags=[*flags, *own])
    assert code == 1, said
    assert said == (
        "Stage report must have room for full; No space left on device; free some there or lower "
        f"resize.pixels in params.yaml, {AGAIN}"
    )
    subprocess.run(["mount", "-o", "remount,size=20480k", tmp_path / "full"], check=True)
    assert study.run("report", flags=[*flags, *own])[0] == 0
    assert (tmp_path / "full/report.html").read_text(encoding="utf-8").rstrip().endswith("</html>")


LOCKED = {
    "a folder that may only be read": ("split", "--partitions locked/p.csv", 0o555, "locked/p.csv"),
    "a folder that may not be entered": ("split", "--labels locked/l.csv", 0o000, "locked/l.csv"),
    "a folder to make in one that may only be read": (
        "split",
        "--partitions locked/new/p.csv",
        0o555,
        "locked/new",
    ),
    "metadata to be made where that may not be": (
        "ingest",
        "--raw locked/raw",
        0o555,
        "locked/raw.new",
    ),
}


@pytest.mark.parametrize(("stage", "flags", "mode", "place"), LOCKED.values(), ids=LOCKED)
def test_what_may_not_be_used_is_told(study, as_nobody_special, stage, flags, mode, place):
    (study.folder / "locked").mkdir()
    if "--labels" in flags:
        (study.folder / "locked/l.csv").write_bytes((study.folder / "data/labels.csv").read_bytes())
    (study.folder / "locked").chmod(mode)
    code, said = study.run(stage, before=as_nobody_special, flags=flags.split())
    assert code == 1
    assert said == (
        f"Stage {stage} must be allowed to use {place}; Permission denied; give yourself the right "
        f"to it (ls -ld shows owner and rights), {AGAIN}"
    )
    (study.folder / "locked").chmod(0o755)
    assert study.run(stage, before=as_nobody_special, flags=flags.split())[0] == 0


def test_an_input_that_may_not_be_read_is_told(study, as_nobody_special):
    (study.folder / "data/images.npy").chmod(0)
    code, said = study.run("balance", before=as_nobody_special)
    assert code == 1
    assert said.startswith(
        "Stage balance must be allowed to use data/images.npy; Permission denied; give yourself"
    )
    (study.folder / "data/images.npy").chmod(0o644)
    assert study.run("balance", before=as_nobody_special)[0] == 0


def test_photographs_that_may_not_be_read_are_told_before_anything_runs(study, as_nobody_special):
    shutil.copy(ROOT / "dvc.yaml", study.folder)
    (study.folder / "data/source/locked").mkdir(mode=0)
    check = [*as_nobody_special, sys.executable, ROOT / "tools/profiles.py", "check"]
    env = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(check, cwd=study.folder, env=env, capture_output=True, encoding="utf-8")
    assert done.stderr == (
        "every folder in data.path must be readable; data/source/locked is not: Permission denied; "
        "see its rights. Nothing was changed.\n"
    )
    (study.folder / "data/source/locked").chmod(0o755)
    subprocess.run(check, cwd=study.folder, env=env, check=True)


@pytest.mark.parametrize("place", ["ro/p.csv", "ro/new/p.csv"])
def test_a_disk_that_may_only_be_read_is_told(study, small_disk, place):
    small_disk(study.folder / "ro", 100, "ro")
    code, said = study.run("split", flags=["--partitions", place])
    assert code == 1
    named = place.removesuffix("/p.csv") if "new" in place else place
    assert said.startswith(f"Stage split must be allowed to use {named}; Read-only file system; ")
    assert said.endswith(AGAIN)


# Memory


def test_an_array_beyond_the_memory_is_told_with_the_setting(study):
    # 70 photographs × 2048² pixels × 3 = 881 MB
    study.edit(lambda params: params["resize"].update(pixels=2048))
    code, said = study.run("resize", limit=300, flags=["--images", "big.npy"])
    assert code == 1
    assert said == (
        "Stage resize must have more memory than it was given ([Errno 12] Cannot allocate memory); "
        f"close other programs or lower resize.pixels in params.yaml, {AGAIN}"
    )
    study.edit(lambda params: params["resize"].update(pixels=16))
    assert study.run("resize", limit=300, flags=["--images", "big.npy"])[0] == 0
    assert contents(study.folder / "big.npy") == contents(study.folder / "data/images.npy")


def test_a_photograph_beyond_the_memory_is_not_taken_for_a_broken_one(study):
    path = min((study.folder / "data/raw").rglob("*.jpg"))
    path.unlink()  # a hard link would be written through
    cv2.imwrite(str(path), np.zeros((6000, 8000, 3), np.uint8))  # 144 MB when decoded
    study.edit(lambda params: params["resize"].update(decode="full"))
    code, said = study.run("resize", limit=100, flags=["--images", "new.npy"])
    assert code == 1
    assert said.startswith("Stage resize must have more memory than it was given (")
    assert "fetch it again" not in said


@pytest.mark.slow
def test_features_beyond_the_memory_are_told_with_the_setting(study):
    code, said = study.run("features", model="vgg16", limit=200, in_dvc=True)
    assert code in (1, -signal.SIGABRT, -signal.SIGSEGV), said
    # TensorFlow raises an error or, where a library within it gets no memory, crashes.
    how = "have more memory than it was given (" if code == 1 else "come to an end of its own; it"
    assert f"Stage features of vgg16 must {how}" in said
    assert f"lower models.vgg16.input_size or resize.pixels in params.yaml, {AGAIN}" in said
    assert study.run("features", model="vgg16")[0] == 0


@pytest.mark.slow
def test_a_training_beyond_the_memory_is_told_with_the_setting(study):
    assert study.run("features")[0] == 0
    # 256 rows × 32² pixels × 4000 filters × 4 bytes = 4 GB of activations
    study.edit(lambda params: params["models"]["cnn"]["head"].update(filters=[4000, 2]))
    study.edit(lambda params: params["models"]["cnn"].update(batch_size=256))
    code, said = study.run("train", limit=2500)
    assert code == 1, said
    assert "OOM when allocating tensor" in said
    assert "Stage train of cnn must have more memory than it was given (" in said
    assert "lower models.cnn.batch_size, the widths in models.cnn.head, models.cnn.inp" in said


@pytest.mark.slow
@pytest.mark.parametrize("what", ["--resume", "--model", "--curves"])
def test_a_training_on_a_full_disk_goes_on_where_it_stood_and_ends_with_the_same_bytes(
    study, small_disk, what
):
    assert study.run("features")[0] == 0
    assert study.run("train")[0] == 0
    model = (study.folder / "models/cnn.keras").read_bytes()
    place = {"--resume": "full/cnn", "--model": "full/cnn.keras", "--curves": "full/cnn.csv"}[what]
    small_disk(study.folder / "full", 8 if what == "--resume" else 4)
    if what == "--curves":
        fill(study.folder / "full")
    code, said = study.run("train", flags=[what, place])
    assert code == 1
    assert "Stage train of cnn must have room for full; No space left on device; " in said
    assert "lower models.cnn.batch_size" in said
    subprocess.run(["mount", "-o", "remount,size=10240k", study.folder / "full"], check=True)
    done = subprocess.run(
        [sys.executable, *command_of("train"), what, place],
        cwd=study.folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    taken_up = {"--resume": None, "--model": "after epoch 3 of 3", "--curves": "after epoch 1 of 3"}
    assert "taking up" not in done.stdout or taken_up[what] in done.stdout
    assert (taken_up[what] is None) == ("taking up" not in done.stdout)
    kept = study.folder / (place if what == "--model" else "models/cnn.keras")
    assert kept.read_bytes() == model
    assert not (study.folder / ".resume/cnn").exists()


def test_an_output_is_brought_back_whole_or_not_at_all(tmp_path, small_disk):
    def restore(code):
        done = subprocess.run(
            [sys.executable, ROOT / "tools/restore.py"],
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    drawn, tmp = tmp_path / "drawn", tmp_path / ".dvc/tmp"
    stage = 'cmd: "head -c 300000 /dev/urandom > drawn", outs: [drawn]'
    (tmp_path / "dvc.yaml").write_text(f"stages: {{draw: {{{stage}}}}}", encoding="utf-8")
    tmp.mkdir(parents=True)
    (tmp_path / ".dvc/config").write_text(
        "[core]\n    no_scm = True\n    analytics = false\n", encoding="utf-8"
    )
    dvc = [sys.executable, "-m", "dvc", "repro", "--quiet"]
    subprocess.run(dvc, cwd=tmp_path, check=True)
    content = drawn.read_bytes()
    drawn.unlink()
    small_disk(tmp, 100)
    said = restore(1)
    assert said.startswith("DVC must be able to write in this folder; [Errno 28] No space left")
    assert said.endswith("see its rights, and room.\n")
    assert not drawn.exists()
    assert not any(tmp.glob("restore*"))
    subprocess.run(["mount", "-o", "remount,ro", tmp], check=True)
    assert "Read-only file system" in restore(1)
    subprocess.run(["mount", "-o", f"remount,rw,size={10 * 1024}k", tmp], check=True)
    assert restore(0) == "drawn: 1 missing file(s) brought back from DVC's cache\n"
    assert drawn.read_bytes() == content
