"""`tools/repeat.py`; `tests/test_pipeline_edits.py` lets it run the real study."""

import json
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from lesions.taxonomy import CODES

ROOT = Path(__file__).parents[1]
SCORES = ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc_macro")
# Stands for DVC: writes down what it is asked for, and runs the study as $RUN says.
DVC = """#!/bin/sh
echo "$*" >> asked
case "$*" in "exp run"*) eval "$RUN";; esac
"""


@pytest.fixture
def repeat():
    return runpy.run_path(str(ROOT / "tools/repeat.py"))


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A folder with `params.yaml`, twelve lesions of each diagnosis and a DVC that only notes."""
    labels = pd.DataFrame({"dx": np.repeat(CODES, 12), "label": np.repeat(range(7), 12)})
    ids = labels.index.astype(str)
    labels = labels.assign(image_id=ids, lesion_id=ids)
    (tmp_path / "data").mkdir()
    labels.to_csv(tmp_path / "data/labels.csv", index=False)
    labels[["image_id"]].assign(group=ids).to_csv(tmp_path / "data/groups.csv", index=False)
    pixels = np.random.default_rng(0).integers(0, 255, (len(labels), 4, 4, 3), np.uint8)
    np.save(tmp_path / "data/images.npy", pixels)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/dvc").write_text(DVC, encoding="utf-8")
    (tmp_path / "bin/dvc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "asked").touch()
    monkeypatch.chdir(tmp_path)

    def set_up(*, by, **changes):
        params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        params |= {"profile": "demo", "seed": 42, "repeat": {"by": by}}
        params["models"] = {"cnn": params["models"]["cnn"]}
        params["data"]["external"] = {}
        params["split"].update(by="group", test_size=0.2, val_size=0.1, cal_size=0.1)
        params["balance"].update(method="adasyn")
        for section, settings in changes.items():
            params[section].update(settings)
        Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")

    return set_up


def start(monkeypatch, run):
    """Begin two runs of which DVC makes `run`, in a process group of their own."""
    monkeypatch.setenv("RUN", run)
    return subprocess.Popen(
        [sys.executable, str(ROOT / "tools/repeat.py"), "2"],
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )


def test_the_spread_is_the_standard_deviation_between_runs(repeat):
    # .5, .6, .7: mean .6, standard deviation (n - 1) .1.
    rows = [
        {"run": f"seed {run}", "model": "cnn", "source": "measured"} | dict.fromkeys(SCORES, value)
        for run, value in enumerate((0.5, 0.6, 0.7))
    ]
    text = repeat["to_markdown"](pd.DataFrame(rows))
    cell = "0.600 ± 0.100 (0.500–0.700)"
    assert text.splitlines()[2] == f"| cnn | measured | 3 | {' | '.join([cell] * 4)} |"


@pytest.mark.parametrize("words", [[], ["1"], ["five"]])
def test_a_number_of_runs_is_asked_for(repeat, monkeypatch, words):
    monkeypatch.setattr("sys.argv", ["repeat.py", *words])
    with pytest.raises(SystemExit, match="SEEDS must be a number of runs, 2 or more"):
        repeat["main"]()


@pytest.mark.parametrize(
    ("n_folds", "split", "message"),
    [
        (3, {"by": "column", "column": "p"}, r"^SEEDS .*; 3 is not: .*by: image, lesion or group"),
        # A half is tested on, and 0.3 + 0.3 of all is more than the other half.
        (2, {"val_size": 0.3, "cal_size": 0.3}, r"^SEEDS .*; 2 is not: .*they add up to 1\.1"),
    ],
)
def test_folds_that_the_settings_exclude_are_refused_before_dvc_does_anything(
    repeat, study, monkeypatch, n_folds, split, message
):
    study(by="fold", split=split)
    monkeypatch.setattr("sys.argv", ["repeat.py", str(n_folds)])
    with pytest.raises(SystemExit, match=message):
        repeat["main"]()
    assert Path("asked").read_text(encoding="utf-8") == ""


@pytest.mark.parametrize(
    ("n_folds", "message"),
    [
        (
            13,
            r"^every fold .*; fold 0 of SEEDS=13 is not: split\.folds must .*; there are 12 units",
        ),
        # 12 lesions: 4 are tested on, 1 or 2 validate, 1 or 2 calibrate; 4 to 6 are trained on.
        (3, r"^every fold .*; fold 0 of SEEDS=3 is not: .*more than n_neighbors = 6 training"),
    ],
)
def test_folds_that_the_images_exclude_are_refused_before_the_study_runs(
    repeat, study, monkeypatch, n_folds, message
):
    study(by="fold", balance={"n_neighbors": 6})
    monkeypatch.setattr("sys.argv", ["repeat.py", str(n_folds)])
    with pytest.raises(SystemExit, match=message):
        repeat["main"]()
    assert Path("asked").read_text(encoding="utf-8") == "repro audit resize\n"


def test_by_seed_every_run_has_a_seed_and_scores_of_its_own(study, monkeypatch):
    study(by="seed")
    Path("metrics/evaluation").mkdir(parents=True)
    # Each score of a run is its seed, behind "0."; the seed is what follows the last "=".
    scores = json.dumps(dict.fromkeys(SCORES, "SEED")).replace('"SEED"', "0.SEED")
    run = f"echo '{scores}' | sed \"s/SEED/${{5##*=}}/g\" > metrics/evaluation/cnn.json"
    process = start(monkeypatch, run)
    process.communicate(timeout=60)
    assert process.returncode == 0
    runs = pd.read_csv("results/repeats/demo-by-seed.csv")
    assert runs["run"].tolist() == ["seed 42", "seed 43"]
    for score in SCORES:
        assert runs[score].tolist() == [0.42, 0.43]
    # 0.42, 0.43: mean 0.425, standard deviation (n - 1) 0.01 / sqrt(2) = 0.007.
    cell = "0.425 ± 0.007 (0.420–0.430)"
    text = Path("results/repeats/demo-by-seed.md").read_text(encoding="utf-8")
    assert text.splitlines()[2] == f"| cnn | measured | 2 | {' | '.join([cell] * 4)} |"
    asked = Path("asked").read_text(encoding="utf-8").splitlines()
    assert [words for words in asked if words.startswith("exp run")] == [
        f"exp run --name repeat-demo-{run} --set-param=seed={42 + run}" for run in (0, 1)
    ]
    kept, brought_back = (f"exp {verb} repeat-demo-before" for verb in ("save --name", "apply"))
    assert asked.index(kept) < asked.index(brought_back)


def test_a_failed_run_ends_in_a_sentence_and_the_folder_is_brought_back(study, monkeypatch):
    study(by="seed")
    process = start(monkeypatch, "exit 255")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.startswith("\nEvery run must come to its end; 'dvc exp run --name repeat-demo-0")
    assert said.count("\n") == 2
    assert (
        Path("asked").read_text(encoding="utf-8").splitlines()[-2] == "exp apply repeat-demo-before"
    )


def test_ctrl_c_ends_in_a_sentence_once_dvc_has_tidied_up(study, monkeypatch):
    study(by="seed")
    tidy = "trap 'sleep 1; echo tidied >> asked; exit 252' INT; echo runs >> asked; sleep 60"
    process = start(monkeypatch, tidy)
    until = time.monotonic() + 60
    while "runs" not in Path("asked").read_text(encoding="utf-8"):
        assert time.monotonic() < until
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.startswith("\nStopped by Ctrl-C; what the runs had changed")
    assert said.count("\n") == 2
    asked = Path("asked").read_text(encoding="utf-8").splitlines()
    assert asked[asked.index("tidied") + 1] == "exp apply repeat-demo-before"
