"""`tools/repeat.py`; `tests/stages/test_pipeline_edits.py` runs it on the real pipeline."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from cloned import ROOT

from lesions.pipeline.locks import SAVED_PARAMS

CODES = ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"]
MEASURES = ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc_macro")
# Replaces DVC: notes its arguments and the settings, and runs `exp run` as $RUN, `repro` as $REPRO.
DVC = """#!/bin/sh
echo "$*" >> asked
case "$*" in
  "exp run"*) echo '# changed' >> params.yaml; eval "$RUN";;
  repro*) cp params.yaml reproduced.yaml; eval "$REPRO";;
esac
"""
IDENTITY = {
    f"GIT_{role}_{kind}": "tests@localhost"
    for role in ("AUTHOR", "COMMITTER")
    for kind in ("NAME", "EMAIL")
}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Return a function that writes and returns params.yaml, beside a DVC that only takes notes."""
    for command in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "-m", "none"]):
        env = os.environ | IDENTITY
        subprocess.run(["git", "-C", tmp_path, *command], check=True, env=env)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/dvc").write_text(DVC, encoding="utf-8")
    (tmp_path / "bin/dvc").chmod(0o755)
    (tmp_path / "asked").touch()
    monkeypatch.chdir(tmp_path)

    def set_up(*, by, seed=42):
        params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        params |= {"profile": "demo", "seed": seed, "repeat": {"by": by}}
        Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        return Path("params.yaml").read_text(encoding="utf-8")

    return set_up


def start(n_runs="2", *, identity=IDENTITY, **variables):
    """Start runs of the study, in a process group of their own."""
    env = os.environ | {"LC_ALL": "C", "LANGUAGE": ""} | identity | variables
    env["PATH"] = f"{Path('bin').resolve()}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        [sys.executable, str(ROOT / "tools/repeat.py"), *([n_runs] if n_runs else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
        env=env,
    )


def finish(process):
    """Return the exit status and what was printed as errors."""
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


def asked():
    return Path("asked").read_text(encoding="utf-8").splitlines()


def is_restored(settings):
    """Return whether params.yaml is as it was, and DVC's last run was on these settings."""
    assert not Path(f".dvc/tmp/{SAVED_PARAMS}").exists()
    files = [Path(name).read_text(encoding="utf-8") for name in ("params.yaml", "reproduced.yaml")]
    return files == [settings] * 2 and asked()[-1] == "repro"


@pytest.mark.parametrize("n_runs", ["", "1", "five"])
def test_a_number_of_runs_is_needed(study, n_runs):
    study(by="seed")
    status, errors = finish(start(n_runs))
    assert status == 1
    assert errors.startswith("SEEDS must be a number of runs, 2 or more; found ")
    assert asked() == []


@pytest.mark.parametrize("lacks", ["AUTHOR", "COMMITTER"])
def test_without_a_git_identity_nothing_runs_and_nothing_changes(study, tmp_path, lacks):
    settings = study(by="seed")
    names = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM")
    identity = IDENTITY | dict.fromkeys(names, os.devnull) | {"HOME": str(tmp_path)}
    identity = {name: value for name, value in identity.items() if lacks not in name}
    status, errors = finish(start(identity=identity))
    assert status == 1
    assert f"var GIT_{lacks}_IDENT' failed: " in errors
    assert "git config --global user.email" in errors  # Git's own advice
    assert asked() == []
    assert Path("params.yaml").read_text(encoding="utf-8") == settings


def test_outside_a_repository_the_message_of_git_is_printed(study, monkeypatch, tmp_path):
    study(by="seed")
    shutil.rmtree(tmp_path / ".git")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    status, errors = finish(start())
    assert status == 1
    assert errors.startswith("'git rev-parse --verify HEAD' failed: fatal: not a git repository")


def test_impossible_folds_are_refused_before_the_study_runs(study):
    settings = study(by="fold")
    fails = "grep -q 'fold: 1' params.yaml && exit 1; true"
    status, errors = finish(start(REPRO=fails))
    assert status == 1
    assert errors.endswith("'dvc repro balance' failed for the reason above\n")
    assert asked() == ["repro balance"] * 3  # fold 0, fold 1, restored
    assert Path("params.yaml").read_text(encoding="utf-8") == settings
    assert Path("reproduced.yaml").read_text(encoding="utf-8") == settings


def write_scores():
    """Return a shell command: every score of a run is its seed, the text after the last `=`.

    Only `cnn` is scored. Of its two images of mel, the set of the first has the diagnosis.
    """
    for model in yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["models"]:
        write(f"evaluation/study/{model}/details.json", {"partition": "test"})
        write(f"evaluation/calibration/{model}.json", {"conformal": None})
    thresholds = {dx: {"n_images": 19, "threshold": 0.5} for dx in CODES}
    conformal = {"threshold": 0.5, "classes": thresholds}
    write("evaluation/calibration/cnn.json", {"temperature": 1.0, "conformal": conformal})
    Path("predictions/study").mkdir(parents=True)
    mel, sure = CODES.index("mel"), [0.9, *[0.1 / 6] * 6]
    rows = [np.roll(sure, mel), np.roll(sure, mel + 1)]
    table = pd.DataFrame(rows, columns=[f"p_{dx}" for dx in CODES])
    table = table.assign(image_id=["a", "b"], label=mel, partition="test")
    pd.concat([table, table.assign(partition="val")]).to_csv("predictions/study/cnn.csv")
    headline = {measure: {"value": "SEED", "low": 0, "high": 1} for measure in MEASURES}
    text = json.dumps({"headline": headline}).replace('"SEED"', "0.SEED")
    return f"echo '{text}' | sed \"s/SEED/${{5##*=}}/g\" > evaluation/study/cnn/details.json"


def write(name, content):
    """Write a JSON file, and its folder."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(json.dumps(content), encoding="utf-8")


def test_by_seed_every_run_has_its_seed_and_scores_and_all_is_restored(study):
    settings = study(by="seed")
    assert finish(start(RUN=write_scores())) == (0, "")
    runs = pd.read_csv("results/repeats/demo-by-seed.csv")
    assert runs["run"].tolist() == ["seed-42", "seed-43"]
    for measure in MEASURES:
        assert runs[measure].tolist() == [0.42, 0.43]
    # 0.42, 0.43: mean 0.425, standard deviation (n - 1) 0.01 / sqrt(2) = 0.007.
    cell = "0.425 ± 0.007 (0.420–0.430)"
    lines = Path("results/repeats/demo-by-seed.md").read_text(encoding="utf-8").splitlines()
    rows = [[text.strip() for text in line.strip("|").split("|")] for line in lines]
    assert ["", "cnn, study"] in rows
    assert all([measure, cell] in rows for measure in MEASURES)
    assert ["runs", "2"] in rows
    assert not Path("results/repeats/demo-by-seed.coverage.csv").exists()
    assert [words for words in asked() if words.startswith("exp run")] == [
        f"exp run --name repeat-demo-seed-{seed} --set-param=seed={seed}" for seed in (42, 43)
    ]
    assert is_restored(settings)


def test_by_fold_every_run_has_its_fold(study):
    settings = study(by="fold")
    assert finish(start(RUN=write_scores())) == (0, "")
    split = "--set-param=sets.study.split"
    assert [words for words in asked() if words.startswith("exp run")] == [
        f"exp run --name repeat-demo-fold-{k} {split}.folds=2 {split}.fold={k}" for k in (0, 1)
    ]
    assert is_restored(settings)


def test_by_fold_the_coverage_of_all_folds_is_held_against_where_it_should_be(study):
    study(by="fold")
    assert finish(start(RUN=write_scores())) == (0, "")
    covered = pd.read_csv("results/repeats/demo-by-fold.coverage.csv")
    assert covered["run"].unique().tolist() == ["fold-0", "fold-1"]
    mel = covered[covered["dx"] == "mel"]
    assert (mel[["n_calibration", "n_images", "n_covered"]] == [19, 2, 1]).all(axis=None)
    assert (covered.loc[covered["dx"] != "mel", "n_images"] == 0).all()
    text = Path("results/repeats/demo-by-fold.md").read_text(encoding="utf-8")
    # Of four images, two are covered. At 0.9, the threshold is the largest of 19 scores. A fold of
    # two images then has 0, 1 or 2 covered with probabilities 2 / 420, 38 / 420 and 380 / 420;
    # both have at most 1 with 0.0009 and at most 2 with 0.018. The tail is 0.05 / 7 / 2 = 0.0036.
    assert re.search(r"\| cnn +\| mel +\| +4 \| +0.500 \| 0.500–1.000 \| True", text)


def test_after_a_failed_run_settings_and_outputs_are_restored(study):
    settings = study(by="seed")
    status, errors = finish(start(RUN="exit 255"))
    assert status == 1
    command = "exp run --name repeat-demo-seed-42 --set-param=seed=42"
    assert errors == f"\n'dvc {command}' failed for the reason above\n"
    assert is_restored(settings)


def test_outputs_that_cannot_be_restored_are_reported_and_settings_are_restored(study):
    settings = study(by="seed")
    fails = "[ $(grep -c exp asked) -gt 0 ] && exit 1; true"
    status, errors = finish(start(RUN="exit 255", REPRO=fails))
    assert status == 1
    assert errors == "\n'dvc repro' failed for the reason above\n"
    assert Path("params.yaml").read_text(encoding="utf-8") == settings


@pytest.mark.parametrize(
    ("number", "to_group"),
    [(signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGHUP, True)],
    ids=["Ctrl-C", "kill", "a closed terminal"],
)
def test_stopped_runs_let_dvc_clean_up_and_restore_settings_and_outputs(study, number, to_group):
    settings = study(by="seed")
    clean_up = "trap 'sleep 1; echo cleaned up >> asked; exit 252' INT; echo runs >> asked; sleep 9"
    process = start(RUN=f"trap 'echo killed >> asked' HUP TERM; {clean_up}")
    until = time.monotonic() + 60
    while "runs" not in asked():
        assert time.monotonic() < until
        time.sleep(0.1)
    (os.killpg if to_group else os.kill)(process.pid, number)
    assert finish(process) == (130, "\nInterrupted\n")
    assert asked()[-2:] == ["cleaned up", "repro"]
    assert is_restored(settings)


def test_scores_of_finished_runs_are_kept_when_a_later_one_fails(study):
    study(by="seed")
    status, _ = finish(
        start(RUN=f"grep -c 'exp run' asked | grep -q 2 && exit 255; {write_scores()}")
    )
    assert status == 1
    assert pd.read_csv("results/repeats/demo-by-seed.csv")["run"].tolist() == ["seed-42"]


def test_settings_are_saved_for_whoever_kills_it(study):
    settings = study(by="seed")
    process = start(RUN="echo runs >> asked; exec sleep 60 >/dev/null 2>&1")
    until = time.monotonic() + 60
    while "runs" not in asked():
        assert time.monotonic() < until
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert Path("params.yaml").read_text(encoding="utf-8") != settings
    assert Path(f".dvc/tmp/{SAVED_PARAMS}").read_text(encoding="utf-8") == settings


def test_a_seed_that_numpy_does_not_take_is_refused_before_anything_runs(study):
    study(by="seed", seed=2**32 - 1)
    status, errors = finish(start())
    assert status == 1
    assert errors == f"seed must be at most {2**32 - 2} for SEEDS=2; found {2**32 - 1}\n"
    assert asked() == []
