"""What DVC runs after an edit; the tests build on one another, in order, in one clone.

The clone begins with a network of its own layers and a head on a backbone, tested on the first of
two folds.
"""

import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from lesions.datasets.ham10000 import METADATA
from lesions.datasets.synthetic.dataset import write_dataset

MODEL_STAGES = ("train", "calibrate", "mistakes")
MATRIX_STAGES = ("predict", "evaluate")
SET_STAGES = ("ingest", "encode", "resize", "embed", "audit", "split")
GATHERERS = ["compare", "report", "card"]


def of_model(model, *, sets=("study",)):
    """Return the stages of a model, in no order."""
    stages = [f"{stage}@{model}" for stage in MODEL_STAGES]
    return stages + [f"{stage}@{model}-{name}" for stage in MATRIX_STAGES for name in sets]


@pytest.fixture(scope="module")
def reproduced(clone):
    """The clone after its first `dvc repro`."""

    def test_on_a_fold(params):
        params["repeat"].update(by="fold")
        params["sets"]["study"]["split"].update(folds=2, fold=0)
        params["balance"].update(method="random")
        for model in params["models"].values():
            model["keep_epoch"] = "last"

    clone.edit(test_on_a_fold)
    clone.repro()
    clone.commit("reproduced")
    return clone


def test_new_models_are_one_entry_each_and_run_alone(reproduced):
    """A network of its own layers, and a second head on the same backbone: no features run."""

    def add(params):
        params["models"]["wide"] = params["models"]["cnn"] | {"filters": [8, 8]}
        params["models"]["small"] = params["models"]["vgg16"] | {"dense_units": [4]}

    reproduced.edit(add)
    expected = [*of_model("wide"), *of_model("small"), *GATHERERS]
    assert sorted(reproduced.repro()) == sorted(expected)
    table = pd.read_csv(reproduced.folder / "plots/comparison/scores.csv")
    assert table["model"].tolist() == ["cnn", "small", "vgg16", "wide"]


def test_an_ensemble_is_one_entry_and_trains_and_predicts_nothing(reproduced):
    entry = {"models": ["cnn", "small"], "weights": "validation"}
    reproduced.edit(lambda params: params["ensembles"].update(both=entry))
    expected = ["ensemble@both-study", "calibrate_ensemble@both", "evaluate_ensemble@both-study"]
    assert sorted(reproduced.repro()) == sorted([*expected, "mistakes_ensemble@both", *GATHERERS])
    folder = reproduced.folder / "predictions/study"
    tables = {m: pd.read_csv(folder / f"{m}.csv") for m in ("cnn", "small", "both")}
    weights = json.loads((folder / "both.json").read_text(encoding="utf-8"))
    assert sum(weights.values()) == pytest.approx(1)
    values = {m: table.filter(like="p_") for m, table in tables.items()}
    mean = weights["cnn"] * values["cnn"] + weights["small"] * values["small"]
    assert (values["both"] - mean).abs().max(axis=None) < 2e-6
    columns = ["image_id", "partition", "label"]
    assert tables["both"][columns].equals(tables["cnn"][columns])
    scores = pd.read_csv(reproduced.folder / "plots/comparison/scores.csv")
    assert scores["model"].tolist() == ["cnn", "small", "vgg16", "wide", "both"]
    card = (reproduced.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"the weighted mean of the probabilities of cnn ({weights['cnn']:.2f}) and small" in card
    reproduced.edit(lambda params: params["ensembles"].clear())
    assert sorted(reproduced.repro()) == sorted(GATHERERS)


def test_an_edit_of_a_models_epochs_runs_its_training_and_what_follows(reproduced):
    reproduced.edit(lambda params: params["models"]["cnn"].update(epochs=1))
    assert sorted(reproduced.repro()) == sorted([*of_model("cnn"), *GATHERERS])


def test_an_edit_of_evaluate_runs_no_stage_of_tensorflow(reproduced):
    reproduced.edit(lambda params: params["evaluate"].update(decimals=3))
    evaluations = [f"evaluate@{model}-study" for model in ("cnn", "vgg16", "wide", "small")]
    assert sorted(reproduced.repro()) == sorted([*evaluations, *GATHERERS])


TENSORFLOW = ("features@", "train@", "predict@")
EDITED = (
    "src/lesions/evaluation/metrics.py",
    "src/lesions/figures/style.py",
    "src/lesions/report/page.py",
    "src/lesions/pipeline/errors.py",
    "src/lesions/pipeline/cli.py",
    "src/lesions/config/schema.py",
)


def test_an_edit_outside_training_runs_no_stage_of_tensorflow(reproduced):
    """Of a comment in each room, and of a word of the disclaimer."""
    for name in EDITED:
        with (reproduced.folder / name).open("a", encoding="utf-8") as file:
            file.write("# edited\n")
    captions = "src/lesions/report/captions.py"
    reproduced.replace(captions, "medical device", "device of medicine")
    ran = reproduced.repro()
    assert [stage for stage in ran if stage.startswith(TENSORFLOW)] == []
    assert {"evaluate@cnn-study", "compare", "report", "card"} <= set(ran)
    page = (reproduced.folder / "plots/report.html").read_text(encoding="utf-8")
    assert "device of medicine" in page
    reproduced.run("git", "checkout", "--quiet", "src")


def test_an_edit_of_an_architecture_trains_its_models_alone(reproduced):
    """A comment changes no model, so that nothing is predicted again."""
    with (reproduced.folder / "src/lesions/networks/cnn.py").open("a", encoding="utf-8") as file:
        file.write("# edited\n")
    ran = reproduced.repro()
    assert sorted(s for s in ran if s.startswith(TENSORFLOW)) == ["train@cnn", "train@wide"]
    reproduced.run("git", "checkout", "--quiet", "src")
    assert reproduced.repro() == []


def test_a_half_done_training_survives_an_edit_of_an_error_text(reproduced):
    reproduced.edit(lambda params: params["models"]["cnn"].update(epochs=200))
    environment = os.environ | {"PYTHONPATH": str(reproduced.folder / "src")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with subprocess.Popen(
        ["dvc", "repro", "--single-item", "train@cnn"],
        cwd=reproduced.folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as process:
        line = next((line for line in process.stdout if line.startswith("epoch 2/200")), None)
        process.kill()
    assert line is not None
    time.sleep(2)  # until the stage notices that its DVC is gone
    for name in ("src/lesions/pipeline/errors.py", "src/lesions/config/types.py"):
        with (reproduced.folder / name).open("a", encoding="utf-8") as file:
            file.write("# edited\n")
    printed = reproduced.run("dvc", "repro", "--single-item", "train@cnn")
    assert "resuming after epoch" in printed
    reproduced.run("git", "checkout", "--quiet", "src")


def test_external_photographs_are_tested_on_and_nothing_is_trained(reproduced, tmp_path):
    folder = tmp_path / "elsewhere"
    metadata = write_dataset(folder, n_images=60, seed=5)
    for photograph in folder.rglob("*.jpg"):
        photograph.rename(photograph.with_name(f"E{photograph.name}"))
    metadata["image_id"] = "E" + metadata["image_id"]
    metadata["lesion_id"] = "E" + metadata["lesion_id"]
    metadata.to_csv(folder / METADATA, index=False)

    def add(params):
        source = {"kind": "folder", "path": str(folder), "extra_images": "refuse"}
        params["sets"]["elsewhere"] = {"source": source, "split": {"by": "none"}}
        params["models"] = {name: params["models"][name] for name in ("cnn", "vgg16")}

    reproduced.edit(add)
    reproduced.run("dvc", "repro", "--single-item", "train@cnn")
    expected = [f"{stage}@elsewhere" for stage in SET_STAGES]
    expected += [f"{s}@{m}-elsewhere" for s in MATRIX_STAGES for m in ("cnn", "vgg16")]
    expected += [stage for stage in of_model("cnn") if stage != "train@cnn"]
    assert sorted(reproduced.repro()) == sorted([*expected, *GATHERERS])
    table = pd.read_csv(reproduced.folder / "plots/comparison/scores.csv")
    assert table[["model", "source"]].to_numpy().tolist() == [
        [model, name] for model in ("cnn", "vgg16") for name in ("measured", "on elsewhere")
    ]


def test_what_is_dropped_leaves_the_comparison_and_nothing_else_runs(reproduced):
    def drop(params):
        del params["models"]["vgg16"], params["backbones"]["vgg16"], params["sets"]["elsewhere"]

    reproduced.edit(drop)
    assert sorted(reproduced.repro()) == sorted(GATHERERS)
    table = pd.read_csv(reproduced.folder / "plots/comparison/scores.csv")
    assert table[["model", "source"]].to_numpy().tolist() == [["cnn", "measured"]]


@pytest.mark.slow
def test_runs_by_fold_test_on_every_image_once_and_restore_the_folder(reproduced):
    def keep_one_model(params):
        params["models"] = {"cnn": params["models"]["cnn"] | {"epochs": 1}}
        params["backbones"] = {}

    # `dvc exp run` removes the plots that dropped stages have left.
    plots = reproduced.folder / "plots"
    for name in ("vgg16", "wide", "small"):
        (plots / f"curves/{name}.csv").unlink(missing_ok=True)
        (plots / f"monitored/{name}.csv").unlink(missing_ok=True)
        (plots / f"mistakes/{name}.png").unlink(missing_ok=True)
    (plots / "partitions/elsewhere.csv").unlink(missing_ok=True)
    reproduced.edit(keep_one_model)
    reproduced.repro()
    reproduced.commit("before the runs")
    printed = reproduced.run(sys.executable, "tools/repeat.py", "2")
    table = reproduced.folder / "results/repeats/demo-by-fold"
    runs = pd.read_csv(f"{table}.csv")
    assert runs["run"].tolist() == ["fold-0", "fold-1"]
    scores = runs["roc_auc_macro"]
    comparison = reproduced.folder / "plots/comparison/comparison.json"
    kept = json.loads(comparison.read_text(encoding="utf-8"))["cnn"]["study"]
    assert scores[0] == kept["roc_auc_macro"]["value"]
    # The standard deviation of two is their difference over the root of two.
    low, high = sorted(scores)
    spread = f"{scores.mean():.3f} ± {(high - low) / 2**0.5:.3f} ({low:.3f}–{high:.3f})"
    assert len(re.findall(r"^\| +\| cnn, study +\|$", printed, re.MULTILINE)) == 1
    assert len(re.findall(r"^\| runs +\| 2 +\|$", printed, re.MULTILINE)) == 1
    assert low < high
    assert spread in printed
    refs = reproduced.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    tested = []
    for ref in (ref for ref in refs if "/repeat-demo-" in ref):
        predictions = reproduced.run("git", "show", f"{ref}:predictions/study/cnn.csv")
        tested.append(pd.read_csv(io.StringIO(predictions)).query("partition == 'test'"))
    assert len(tested) == 2
    images = pd.read_csv(reproduced.folder / "data/sets/study/labels.csv")["image_id"]
    assert sorted(pd.concat(tested)["image_id"]) == sorted(images)
    status = reproduced.run("git", "status", "--porcelain", "--untracked-files=all").split()
    written = [f"results/repeats/demo-by-fold.{kind}" for kind in ("coverage.csv", "csv", "md")]
    assert status[1::2] == written, reproduced.run("git", "diff")
    assert "up to date" in reproduced.run("dvc", "repro", "--dry").splitlines()[-1]
