"""What DVC runs anew after an edit; the tests build on one another, in order, in one clone.

The clone begins with one model, tested on the first of two folds; a wider one is added and dropped.
"""

import io
import json
import sys

import pandas as pd
import pytest

from lesions.demo import write_demo
from lesions.taxonomy import METADATA

MODELS = ("cnn", "wide")
OF_A_MODEL = ("features", "train", "predict", "calibrate", "evaluate", "mistakes")
OF_AN_EXTERNAL_SET = ("predict_external", "evaluate_external")
GATHER = ["compare", "report", "card"]


@pytest.fixture(scope="module")
def reproduced(clone):
    """The clone after its first `dvc repro`."""

    def make_one_fold_of_one_model(params):
        params["repeat"].update(by="fold")
        params["split"].update(folds=2, fold=0)
        params["balance"].update(method="random")
        params["models"] = {"cnn": params["models"]["cnn"] | {"keep_epoch": "last"}}

    clone.edit(make_one_fold_of_one_model)
    clone.repro()
    return clone


def test_a_new_model_is_one_entry_and_only_it_runs(reproduced):
    def add(params):
        head = {"filters": [8, 8], "dense_units": [8], "dropout": 0.3, "batch_norm_momentum": 0.9}
        params["models"]["wide"] = params["models"]["cnn"] | {"head": head}

    reproduced.edit(add)
    assert sorted(reproduced.repro()) == sorted([*(f"{s}@wide" for s in OF_A_MODEL), *GATHER])
    table = pd.read_csv(reproduced.folder / "plots/comparison.csv")
    assert table["model"].tolist() == list(MODELS)


def test_an_edit_of_one_models_epochs_reruns_only_its_training_and_what_follows(reproduced):
    reproduced.edit(lambda params: params["models"]["cnn"].update(epochs=1))
    ran = reproduced.repro()
    assert sorted(ran) == sorted([*(f"{stage}@cnn" for stage in OF_A_MODEL[1:]), *GATHER])


def test_an_edit_of_evaluate_reruns_no_tensorflow_stage(reproduced):
    reproduced.edit(lambda params: params["evaluate"].update(decimals=3))
    ran = reproduced.repro()
    assert sorted(ran) == sorted([*(f"evaluate@{model}" for model in MODELS), *GATHER])


def test_external_photographs_are_tested_on_and_nothing_is_trained_anew(reproduced, tmp_path):
    folder = tmp_path / "elsewhere"
    metadata = write_demo(folder, n_images=60, seed=5)
    for photograph in folder.rglob("*.jpg"):
        photograph.rename(photograph.with_name(f"E{photograph.name}"))
    metadata["image_id"] = "E" + metadata["image_id"]
    metadata["lesion_id"] = "E" + metadata["lesion_id"]
    metadata.to_csv(folder / METADATA, index=False)
    reproduced.edit(lambda params: params["data"].update(external={"elsewhere": str(folder)}))
    each = [f"{stage}@{m}-elsewhere" for stage in OF_AN_EXTERNAL_SET for m in MODELS]
    assert sorted(reproduced.repro()) == sorted(["external@elsewhere", *each, *GATHER])
    table = pd.read_csv(reproduced.folder / "plots/comparison.csv").set_index(["model", "source"])
    assert list(table.index) == [
        (model, source) for model in MODELS for source in ("measured", "on elsewhere")
    ]
    assert (table.xs("on elsewhere", level="source")["n_images"] == 60).all()


def test_what_is_dropped_leaves_the_comparison_and_nothing_else_runs(reproduced):
    def drop(params):
        del params["models"]["wide"]
        params["data"]["external"] = {}

    reproduced.edit(drop)
    assert sorted(reproduced.repro()) == sorted(GATHER)
    table = pd.read_csv(reproduced.folder / "plots/comparison.csv")
    assert table[["model", "source"]].to_numpy().tolist() == [["cnn", "measured"]]


def test_runs_by_fold_test_on_every_image_once_and_leave_the_folder_as_it_was(reproduced):
    reproduced.commit("before the runs")
    printed = reproduced.run(sys.executable, "tools/repeat.py", "2")
    table = reproduced.folder / "results/repeats/demo-by-fold"
    runs = pd.read_csv(f"{table}.csv")
    assert runs["run"].tolist() == [f"split.folds 2, split.fold {fold}" for fold in (0, 1)]
    scores = runs["roc_auc_macro"]
    kept = json.loads(
        (reproduced.folder / "metrics/evaluation/cnn.json").read_text(encoding="utf-8")
    )
    assert scores[0] == kept["roc_auc_macro"]
    # The standard deviation of two is their difference over the root of two.
    low, high = sorted(scores)
    spread = f"{scores.mean():.3f} ± {(high - low) / 2**0.5:.3f} ({low:.3f}–{high:.3f}) |"
    assert printed.count("| cnn | measured | 2 |") == 1
    assert low < high
    assert spread in printed
    refs = reproduced.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    tested = []
    for ref in (ref for ref in refs if "/repeat-demo-" in ref):
        predictions = reproduced.run("git", "show", f"{ref}:predictions/cnn.csv")
        tested.append(pd.read_csv(io.StringIO(predictions)).query("partition == 'test'"))
    assert len(tested) == 2
    images = pd.read_csv(reproduced.folder / "data/labels.csv")["image_id"]
    assert sorted(pd.concat(tested)["image_id"]) == sorted(images)
    made = reproduced.run("git", "status", "--porcelain", "--untracked-files=all").split()
    assert made[1::2] == [f"results/repeats/demo-by-fold.{kind}" for kind in ("csv", "md")]
    assert "up to date" in reproduced.run("dvc", "repro", "--dry").splitlines()[-1]
