"""What Git does, lacks or is set to otherwise than on our machines."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from cloned import ROOT, Clone

ENGLISH = {"LC_ALL": "C", "LANGUAGE": ""}  # of Git's messages


@pytest.fixture
def download(tmp_path):
    """Return a folder with what the Makefile needs of a ZIP download: nothing of Git."""
    for name in ("Makefile", "requirements.txt", "requirements-serve.txt", "constraints.txt"):
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
def test_without_a_commit_one_line_says_how_to_make_one_before_anything_is_installed(
    download, verb, has
):
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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["profiles.py", "use", "demo"], "'git show HEAD:./params.yaml' failed: fatal: not a git"),
        (["profiles.py", "moved"], "'git diff --name-only HEAD -- params.yaml dvc.yaml"),
        (["readme.py", "--check"], "'git checkout-index --all --prefix="),
    ],
)
def test_where_git_cannot_answer_its_own_message_is_printed(tmp_path, words, message):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    env = os.environ | ENGLISH | {"GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}
    command = [sys.executable, ROOT / "tools" / words[0], *words[1:]]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, encoding="utf-8")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith(message)
    assert "not a git repository" in done.stderr.lower()


def test_a_clone_with_other_line_ends_has_the_same_files_byte_for_byte(tmp_path):
    clone, other = Clone(tmp_path / "clone"), tmp_path / "other"
    clone.run("git", "clone", "--quiet", "-c", "core.autocrlf=true", ".", str(other))
    files = filter(None, clone.run("git", "ls-files", "-z").split("\0"))
    changed = [f for f in files if (other / f).read_bytes() != (clone.folder / f).read_bytes()]
    assert changed == []
    assert clone.run("git", "-C", str(other), "status", "--porcelain") == ""


def test_a_users_own_photographs_below_data_can_be_added_to_dvc(tmp_path, small_world):
    clone = Clone(tmp_path / "clone")
    for folder in ("data/mine", "data/source/mine"):
        shutil.copytree(small_world, clone.folder / folder)
        clone.run("dvc", "add", "--quiet", folder)
    clone.run("git", "add", "--all")
    added = clone.run("git", "status", "--porcelain").splitlines()
    assert added == ["A  data/mine.dvc", "A  data/source/mine.dvc"]
    source = {"kind": "folder", "path": "data/mine", "extra_images": "refuse"}
    clone.edit(lambda params: params["sets"]["study"].update(source=source))
    dry = clone.run("dvc", "repro", "--dry", "ingest@study")
    assert "Running stage 'ingest@study'" in dry


# A run whose outputs differ from the committed ones

MACHINE = {"cpu": "AMD EPYC, family 25, model 1, stepping 1", "keras": "3.15.0"}
OTHER_CPU = {"cpu": "Intel Xeon, family 6, model 143, stepping 8"}
SCORES = {"accuracy": 0.7, "balanced": 0.6, "f1": 0.5, "auc": 0.9, "ece": 0.1}


class Study(Clone):
    """A clone with committed outputs of two models, made up; others are added by `write`."""

    def __init__(self, folder):
        super().__init__(folder)
        outputs = ("metrics", "plots", "predictions", "evaluation", "dvc.lock", "MODEL_CARD.md")
        self.run("git", "rm", "-rq", "--ignore-unmatch", *outputs)
        for model in ("cnn", "vgg16"):
            self.write(f"metrics/{model}.json", SCORES)
            self.write(f"predictions/study/{model}.json", MACHINE)
        self.commit("outputs")

    def write(self, name, content):
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, indent=2), encoding="utf-8")

    def report(self):
        return self.run(sys.executable, "tools/profiles.py", "moved")


@pytest.fixture(scope="module")
def committed_study(tmp_path_factory):
    return Study(tmp_path_factory.mktemp("study") / "clone")


@pytest.fixture
def study(committed_study):
    yield committed_study
    committed_study.run("git", "checkout", "--quiet", ".")


def test_a_run_with_the_committed_outputs_prints_nothing(study):
    assert study.report() == ""


def test_a_run_on_another_cpu_prints_one_line_with_both_and_the_largest_change(study):
    study.write("metrics/cnn.json", SCORES | {"balanced": 0.35, "ece": None})
    study.write("metrics/vgg16.json", SCORES | {"accuracy": 0.71})
    study.write("predictions/study/cnn.json", MACHINE | OTHER_CPU)
    assert study.report() == (
        "\nThe outputs differ from the committed ones: the largest change is balanced in "
        "metrics/cnn.json, 0.600 → 0.350. Those were computed with cpu AMD EPYC, family 25, model "
        "1, stepping 1, these with cpu Intel Xeon, family 6, model 143, stepping 8. 'dvc metrics "
        "diff' lists all changes. Before you compare experiments, commit these as your baseline: "
        "git commit -am 'Baseline on this machine'\n"
    )


def test_a_library_of_another_version_is_named_and_the_same_cpu_is_not(study):
    study.write("metrics/cnn.json", SCORES | {"auc": 0.95})
    study.write("predictions/study/vgg16.json", MACHINE | {"keras": "3.16.0"})
    report = study.report()
    assert "Those were computed with keras 3.15.0, these with keras 3.16.0. 'dvc" in report
    assert "cpu" not in report


def test_a_switch_that_was_not_set_is_named(study):
    study.write("metrics/cnn.json", SCORES | {"auc": 0.95})
    study.write("predictions/study/cnn.json", MACHINE | {"onednn_max_cpu_isa": "AVX2"})
    expected = "computed with onednn_max_cpu_isa not set, these with onednn_max_cpu_isa AVX2. "
    assert expected in study.report()


def test_with_the_same_cpu_and_libraries_neither_is_blamed(study):
    study.write("metrics/cnn.json", SCORES | {"accuracy": 0.5})
    report = study.report()
    assert "CPU and library versions are the same, so look for another cause" in report
    assert "computed with" not in report


def test_outputs_that_change_no_headline_score_are_reported_as_such(study):
    (study.folder / "metrics/cnn.json").write_text(json.dumps(SCORES), encoding="utf-8")
    report = study.report()
    assert "differ from the committed ones: no headline score changed. CPU and" in report


def test_after_an_edit_of_settings_or_code_nothing_is_printed(study):
    study.write("metrics/cnn.json", SCORES | {"accuracy": 0.5})
    for file, old, new in (
        ("params.yaml", "seed: 42", "seed: 43"),
        ("stages/split.py", '"""Stage', '"""The stage'),
    ):
        study.replace(file, old, new)
        assert study.report() == ""
        study.run("git", "checkout", "--quiet", file)
    assert study.report() != ""


# In a subfolder of another repository


@pytest.fixture(scope="module")
def subfolder(tmp_path_factory):
    above = tmp_path_factory.mktemp("monorepo")
    study = Study(above / "studies/skin")
    shutil.rmtree(study.folder / ".git")
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "-m", "all"]):
        study.run("git", "-C", str(above), *command)
    return study


def test_in_a_subfolder_the_same_line_is_printed(subfolder):
    assert subfolder.report() == ""
    subfolder.write("metrics/cnn.json", SCORES | {"balanced": 0.35})
    subfolder.write("predictions/study/cnn.json", MACHINE | OTHER_CPU)
    report = subfolder.report()
    subfolder.run("git", "checkout", "--quiet", ".")
    assert "the largest change is balanced in metrics/cnn.json, 0.600 → 0.350" in report
    assert "these with cpu Intel Xeon" in report


def test_in_a_subfolder_profiles_can_be_used_and_edits_are_kept(subfolder):
    params = subfolder.folder / "params.yaml"
    committed = params.read_text(encoding="utf-8")
    use = (sys.executable, "tools/profiles.py", "use")
    subfolder.run(*use, "paper")
    assert "profile: paper" in params.read_text(encoding="utf-8")
    subfolder.run(*use, "demo")
    assert params.read_text(encoding="utf-8") == committed
    subfolder.replace("params.yaml", "seed: 42", "seed: 43")
    assert "has edits of yours" in subfolder.run(*use, "paper", fails=True)
    subfolder.run("git", "checkout", "--quiet", ".")


def test_in_a_subfolder_stale_blocks_are_found(subfolder):
    readme = subfolder.folder / "README.md"
    content = "# Study\n\n<!-- from results/by-image-or-group/table.md -->\n<!-- end -->\n"
    readme.write_text(content, encoding="utf-8")
    shutil.rmtree(subfolder.folder / "docs")
    subfolder.run("git", "add", "--all")
    check = (sys.executable, "tools/readme.py", "--check")
    stale = subfolder.run(*check, fails=True)
    assert "README.md: results/by-image-or-group/table.md" in stale
    subfolder.run(sys.executable, "tools/readme.py")
    subfolder.run("git", "add", "--all")
    subfolder.run(*check)
