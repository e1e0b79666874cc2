"""`tools/restore.py` on two short stages, with a real DVC and its cache."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.repo import Repo

sys.path.append(str(Path(__file__).parents[1] / "tools"))
import restore

ROOT = Path(__file__).parents[1]
DVC = (sys.executable, "-m", "dvc")
RESTORE = (sys.executable, str(ROOT / "tools/restore.py"))
PIPELINE = """
stages:
  draw:
    cmd: mkdir drawn && echo 1 > drawn/1 && echo 2 > drawn/2 && echo n > note && echo draw >> ran
    deps: [seed]
    outs:
      - drawn
      - note: {cache: false}
  train:
    cmd: cat drawn/1 drawn/2 > model && echo train >> ran
    deps: [drawn]
    outs: [model]
"""
MADE = {"drawn/1": "1\n", "drawn/2": "2\n", "model": "1\n2\n"}


class Study:
    """The two stages in a folder of their own."""

    def __init__(self, folder: Path):
        self.folder = folder

    def run(self, *command: str, code: int = 0) -> str:
        done = subprocess.run(command, cwd=self.folder, capture_output=True, encoding="utf-8")
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def restore(self) -> list[tuple[str, int]]:
        return list(restore.restore(Repo(str(self.folder))))

    def cached(self, name: str) -> Path:
        value = hashlib.md5(MADE[name].encode(), usedforsecurity=False).hexdigest()
        return self.folder / ".dvc/cache/files/md5" / value[:2] / value[2:]

    def there(self) -> dict[str, str]:
        files = {name: self.folder / name for name in MADE}
        return {
            name: file.read_text(encoding="utf-8") for name, file in files.items() if file.is_file()
        }


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory):
    study = Study(tmp_path_factory.mktemp("reproduced"))
    (study.folder / "dvc.yaml").write_text(PIPELINE, encoding="utf-8")
    (study.folder / "seed").touch()
    (study.folder / ".dvc/tmp").mkdir(parents=True)
    (study.folder / ".dvc/config").write_text(
        "[core]\n    no_scm = True\n    analytics = false\n", encoding="utf-8"
    )
    study.run(*DVC, "repro", "--quiet")
    assert study.there() == MADE
    return study


@pytest.fixture
def study(reproduced, tmp_path, monkeypatch):
    """The caller's own copy of the two stages after `dvc repro`."""
    folder = tmp_path.resolve() / "study"
    shutil.copytree(reproduced.folder, folder)
    monkeypatch.chdir(folder)
    return Study(folder)


def test_what_was_deleted_is_back_and_no_stage_runs_for_it(study):
    (study.folder / "model").unlink()
    (study.folder / "drawn/1").unlink()
    assert study.run(*RESTORE).splitlines() == [
        "drawn: 1 missing file(s) brought back from DVC's cache",
        "model: 1 missing file(s) brought back from DVC's cache",
    ]
    assert study.there() == MADE
    study.run(*DVC, "repro", "--quiet")
    assert (study.folder / "ran").read_text(encoding="utf-8") == "draw\ntrain\n"
    assert study.run(*RESTORE) == ""


def test_a_directory_that_was_deleted_comes_back_whole(study):
    shutil.rmtree(study.folder / "drawn")
    assert study.restore() == [("drawn", 2)]
    assert study.there() == MADE


def test_what_was_edited_stays_and_beside_it_only_what_is_missing_comes_back(study):
    (study.folder / "model").write_text("mine", encoding="utf-8")
    (study.folder / "drawn/1").unlink()
    (study.folder / "drawn/2").write_text("mine", encoding="utf-8")
    (study.folder / "drawn/3").write_text("mine", encoding="utf-8")
    assert study.restore() == [("drawn", 1)]
    assert study.there() == {"drawn/1": "1\n", "drawn/2": "mine", "model": "mine"}
    assert (study.folder / "drawn/3").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("link", [True, False], ids=["a link to nothing", "a file"])
def test_what_stands_in_a_directorys_place_stays(study, link):
    shutil.rmtree(study.folder / "drawn")
    (study.folder / "drawn").symlink_to("nowhere") if link else (study.folder / "drawn").touch()
    assert study.restore() == []
    assert (study.folder / "drawn").is_symlink() == link


def test_what_git_keeps_is_left_to_git(study):
    (study.folder / "note").unlink()
    assert study.restore() == []


def lose(study):
    study.cached("drawn/2").unlink()
    study.cached("model").unlink()


def spoil(study):
    for name in ("drawn/2", "model"):  # as long as it was, and protected: DVC takes it for good
        study.cached(name).chmod(0o644)
        study.cached(name).write_text("x" * len(MADE[name]), encoding="utf-8")
        study.cached(name).chmod(0o444)


def take_another_commit(study):
    lock = study.folder / "dvc.lock"
    hashes = {info.hash_info.value for info in Repo(str(study.folder)).index.outs}
    text = lock.read_text(encoding="utf-8")
    for value in hashes:
        text = text.replace(value, value[::-1] if len(value) == 32 else f"{value[31::-1]}.dir")
    lock.write_text(text, encoding="utf-8")


def never_run(study):
    (study.folder / "dvc.lock").unlink()


@pytest.mark.parametrize("change", [lose, spoil, take_another_commit, never_run])
def test_what_the_cache_has_not_is_left_to_dvc_repro(study, change):
    change(study)
    (study.folder / "model").unlink()
    shutil.rmtree(study.folder / "drawn")
    assert study.restore() == []
    assert study.there() == {}
    assert not (study.folder / "drawn").exists()


def test_what_another_dvc_is_writing_is_left_to_it(study):
    (study.folder / "model").unlink()
    shutil.rmtree(study.folder / "drawn")
    write = {str(study.folder / "model"): {"pid": os.getppid(), "cmd": "dvc repro"}}
    notes = study.folder / ".dvc/tmp/rwlock"
    notes.write_text(json.dumps({"write": write, "read": {}}), encoding="utf-8")
    assert study.restore() == [("drawn", 2)]
    assert not (study.folder / "model").exists()


def test_without_a_repository_of_dvc_it_says_so(tmp_path):
    assert "you are not inside of a DVC repository" in Study(tmp_path).run(*RESTORE, code=1)


def test_a_merge_conflict_in_the_lock_is_told_with_its_line(study):
    lock = study.folder / "dvc.lock"
    lock.write_text(
        lock.read_text(encoding="utf-8").replace("stages:", "<<<<<<< HEAD\nstages:"),
        encoding="utf-8",
    )
    said = study.run(*RESTORE, code=1)
    assert "merge conflicts" in said
    assert "line 2" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("words", "runs"),
    [
        (["repro"], "dvc repro"),
        (["repro", "JOBS=2"], "python tools/parallel.py 2"),
        (["report"], "dvc repro report"),
    ],
)
def test_make_brings_back_before_it_runs(tmp_path, words, runs):
    shutil.copy(ROOT / "Makefile", tmp_path)
    dry = ("make", "--dry-run", "--old-file", ".venv/stamp", *words)
    # Under `make test` the variables of the outer make would reach the inner one.
    env = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    done = subprocess.run(
        dry, cwd=tmp_path, env=env, check=True, capture_output=True, encoding="utf-8"
    )
    ran = [line.removeprefix(".venv/bin/") for line in done.stdout.splitlines()]
    assert ran.index(runs) - 1 == ran.index("python tools/restore.py")
