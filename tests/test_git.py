"""What Git does, lacks or is set to otherwise than on our machines."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from cloned import ROOT, Clone

ENGLISH = {"LC_ALL": "C", "LANGUAGE": ""}  # of what Git says


@pytest.fixture
def download(tmp_path):
    """Give a folder with what a ZIP download has, as far as the Makefile goes: nothing of Git."""
    for name in ("Makefile", "requirements.txt", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def make(folder, *words):
    env = os.environ | ENGLISH | {"GIT_CEILING_DIRECTORIES": str(folder.parent), "MAKELEVEL": "0"}
    env.pop("MAKEFLAGS", None)  # `make test` runs this test
    return subprocess.run(
        ["make", *words],
        cwd=folder,
        env=env,
        capture_output=True,
        encoding="utf-8",
        errors="replace",  # make speaks the user's language
    )


@pytest.mark.parametrize("verb", ["setup", "repro", "test"])
@pytest.mark.parametrize("has", ["nothing of Git", "no commit"])
def test_what_git_lacks_is_said_in_a_line_before_anything_is_installed(download, verb, has):
    if has == "no commit":
        subprocess.run(["git", "init", "--quiet", download], check=True)
    done = make(download, verb)
    assert done.returncode != 0
    assert not (download / ".venv").exists()
    assert "Installing" not in done.stdout
    assert done.stdout.startswith(
        "This folder must be a Git repository with a commit. Of a ZIP download, this makes one: "
        "git init && git add -A && git commit -m downloaded (Git says: fatal: "
    )
    assert done.stdout.count("\n") == 1


def test_where_git_cannot_answer_its_own_words_are_said(tmp_path):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    env = os.environ | ENGLISH | {"GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}
    command = [sys.executable, ROOT / "tools/profiles.py", "use", "demo"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, encoding="utf-8")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith(
        "'git show HEAD:./params.yaml' failed: fatal: not a git repository"
    )


def test_a_clone_with_other_line_ends_counts_as_current(tmp_path):
    clone = Clone(tmp_path / "clone")
    other = str(tmp_path / "other")
    clone.run("git", "clone", "--quiet", "-c", "core.autocrlf=true", ".", other)
    assert b"\r" not in (tmp_path / "other/dvc.yaml").read_bytes()
    dry = clone.run("dvc", "--cd", other, "repro", "--dry", "--allow-missing")
    assert (
        dry.splitlines()[-1]
        == clone.run("dvc", "repro", "--dry", "--allow-missing").splitlines()[-1]
    )
    assert clone.run("git", "-C", other, "status", "--porcelain") == ""


def test_a_users_own_photographs_below_data_can_be_added_to_dvc(tmp_path, small_world):
    clone = Clone(tmp_path / "clone")
    for folder in ("data/mine", "data/source/mine"):
        shutil.copytree(small_world, clone.folder / folder)
        clone.run("dvc", "add", "--quiet", folder)
    clone.run("git", "add", "--all")
    added = clone.run("git", "status", "--porcelain").splitlines()
    assert added == ["A  data/mine.dvc", "A  data/source/mine.dvc"]
    clone.edit(lambda params: params["data"].update(source="folder", path="data/mine"))
    dry = clone.run("dvc", "repro", "--dry", "ingest")
    assert "Running stage 'ingest'" in dry


# A run whose scores are not the committed ones


@pytest.fixture
def recorded(tmp_path):
    """Give a clone with the committed outputs, and a function that says what `moved` prints."""
    clone = Clone(tmp_path / "clone")

    def say():
        return clone.run(sys.executable, "tools/profiles.py", "moved")

    return clone, say


def rewrite(clone, name, change):
    file = clone.folder / name
    content = json.loads(file.read_text(encoding="utf-8"))
    change(content)
    file.write_text(json.dumps(content, indent=2), encoding="utf-8")


def other_cpu(content):
    content.update(cpu="Intel Xeon, family 6, model 143, stepping 8")


def test_a_run_with_the_committed_scores_says_nothing(recorded):
    _, say = recorded
    assert say() == ""


def test_a_run_on_another_cpu_says_in_a_line_which_and_what_moved_most(recorded):
    clone, say = recorded
    own = json.loads((clone.folder / "predictions/cnn.json").read_text(encoding="utf-8"))["cpu"]
    committed = json.loads((clone.folder / "metrics/comparison.json").read_text(encoding="utf-8"))
    old = committed["cnn"]["measured"]["balanced_accuracy"]["value"]

    def move(scores):
        scores["cnn"]["measured"]["balanced_accuracy"]["value"] = old - 0.25
        scores["vgg16"]["measured"]["accuracy"]["value"] += 0.01

    rewrite(clone, "metrics/comparison.json", move)
    rewrite(clone, "predictions/cnn.json", other_cpu)
    assert say() == (
        "\nThis run's outputs differ from the committed ones: the largest move of a score is "
        f"balanced accuracy of cnn (measured), {old:.3f} → {old - 0.25:.3f}. Those were computed "
        f"with cpu {own}, these with cpu Intel Xeon, family 6, model 143, stepping 8. 'dvc metrics "
        "diff' lists all; before you compare experiments, commit yours as the baseline: git commit "
        "-am 'Baseline on this machine'\n"
    )


def test_where_cpu_and_libraries_are_the_same_none_is_blamed(recorded):
    clone, say = recorded
    rewrite(
        clone,
        "metrics/comparison.json",
        lambda scores: scores["cnn"]["measured"]["accuracy"].update(value=0.5),
    )
    said = say()
    assert "CPU and library versions are those of the committed scores, so look for another" in said


def test_last_digits_that_move_no_score_are_said_to(recorded):
    clone, say = recorded
    with (clone.folder / "predictions/cnn.csv").open("a", encoding="utf-8") as stream:
        stream.write("\n")
    assert "differ from the committed ones: no headline score moved. CPU and" in say()


def test_after_an_edit_of_the_settings_nothing_is_said(recorded):
    clone, say = recorded
    rewrite(clone, "predictions/cnn.json", other_cpu)
    clone.edit(lambda params: params.update(seed=43))
    assert say() == ""


def test_in_a_subfolder_of_another_repository_the_same_is_said(tmp_path):
    clone = Clone(tmp_path / "above/study")
    shutil.rmtree(clone.folder / ".git")
    above = Clone.__new__(Clone)
    above.folder = tmp_path / "above"
    above.run("git", "init", "--quiet")
    above.commit("all")
    rewrite(clone, "predictions/cnn.json", other_cpu)
    said = clone.run(sys.executable, "tools/profiles.py", "moved")
    assert "these with cpu Intel Xeon" in said
