import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from lesions.comparison import (
    IN_SHORT,
    MEASURES,
    PUBLISHED,
    compare_models,
    describe_run,
    gather_curves,
    in_short,
    to_markdown,
)
from lesions.metrics import CAVEATS, headline
from lesions.taxonomy import NOT_A_MEDICAL_DEVICE

ROOT = Path(__file__).parents[1]

# The paper's tables: precision, recall and F1 of each class, and its images in the test part.
SUPPORTS = [69, 93, 228, 28, 226, 1338, 21]
PER_CLASS = {
    "cnn": [
        (0.42, 0.41, 0.41),
        (0.54, 0.46, 0.50),
        (0.47, 0.41, 0.44),
        (0.44, 0.25, 0.32),
        (0.41, 0.42, 0.42),
        (0.84, 0.87, 0.85),
        (0.61, 0.81, 0.69),
    ],
    "vgg16": [
        (0.29, 0.33, 0.31),
        (0.41, 0.41, 0.41),
        (0.34, 0.51, 0.41),
        (0.45, 0.32, 0.38),
        (0.30, 0.42, 0.35),
        (0.87, 0.73, 0.79),
        (0.48, 0.57, 0.52),
    ],
}


def scores(**changes):
    return {"n_images": 10} | dict.fromkeys(MEASURES[1:], 0.5) | changes


@pytest.mark.parametrize("model", ["cnn", "vgg16"])
@pytest.mark.parametrize(("average", "weights"), [("macro", None), ("weighted", SUPPORTS)])
def test_the_published_means_are_those_of_the_papers_classes(model, average, weights):
    # Cells and means are rounded to two decimals, so they agree to .005 + .005.
    published = PUBLISHED["paper"][model]
    means = np.average(PER_CLASS[model], axis=0, weights=weights)
    for name, mean in zip(("precision", "recall", "f1"), means, strict=True):
        assert published[f"{name}_{average}"] == pytest.approx(mean, abs=0.01)


@pytest.mark.parametrize("model", ["cnn", "vgg16"])
def test_the_published_accuracy_is_the_weighted_recall(model):
    # Correct images over all images is the mean recall, weighted by the classes' images.
    published = PUBLISHED["paper"][model]
    assert published["n_images"] == sum(SUPPORTS)
    assert published["accuracy"] == pytest.approx(published["recall_weighted"], abs=0.005)


def test_published_numbers_are_measures_of_ours():
    for models in PUBLISHED.values():
        for measures in models.values():
            assert set(measures) <= set(MEASURES)


def test_the_headline_gives_all_measures_in_their_order():
    assert tuple(headline(np.array([5, 4]), np.full((2, 7), 1 / 7))) == MEASURES


def test_models_stand_in_the_given_order_each_before_its_published_numbers():
    table = compare_models(
        {"vgg16": scores(accuracy=0.6), "mine": scores(), "cnn": scores(accuracy=0.7)},
        published=PUBLISHED["paper"],
    )
    assert table[["model", "source"]].to_numpy().tolist() == [
        ["vgg16", "measured"],
        ["vgg16", "published"],
        ["mine", "measured"],
        ["cnn", "measured"],
        ["cnn", "published"],
    ]
    assert table["accuracy"].tolist() == [0.6, 0.636, 0.5, 0.7, 0.72]
    assert table["n_images"].tolist() == [10, 2003, 10, 10, 2003]
    assert np.isnan(table.loc[4, "roc_auc_macro"])


def test_an_evaluation_without_a_measure_is_refused_by_name():
    lacking = {name: value for name, value in scores().items() if name != "f1_macro"}
    with pytest.raises(
        ValueError, match=r"that of cnn lacks f1_macro; run 'dvc repro evaluate@cnn"
    ):
        compare_models({"vgg16": scores(), "cnn": lacking})


def test_the_short_form_has_measured_numbers_only_and_can_be_written_as_json():
    table = compare_models(
        {"cnn": scores(accuracy=0.7, roc_auc_macro=None), "new": scores()},
        published=PUBLISHED["paper"],
    )
    short = in_short(table)
    assert json.loads(json.dumps(short, allow_nan=False)) == short
    assert short["cnn"] == dict.fromkeys(IN_SHORT, 0.5) | {"accuracy": 0.7, "roc_auc_macro": None}
    assert list(short) == ["cnn", "new"]


def test_markdown_shows_scores_as_they_are_triples_at_two_decimals_and_a_dash_for_none():
    measured = dict(
        zip(MEASURES, (12, 0.7192, 0.5, 0.534, 0.515, 0.52, 0.7, 0.7, 0.7), strict=False)
    )
    published = {"n_images": 2003, "accuracy": 0.72}
    evaluations = {"cnn": measured | {"roc_auc_macro": None}}
    text = to_markdown(compare_models(evaluations, published={"cnn": published}), note="Synthetic.")
    assert text.splitlines()[2:] == [
        "| cnn | measured | 12 | 0.7192 | 0.5 | 0.53 / 0.52 / 0.52 | 0.70 / 0.70 / 0.70 | – |",
        "| cnn | published | 2003 | 0.72 | – | – / – / – | – / – / – | – |",
        "",
        "Synthetic.",
    ]


def test_curves_become_one_long_table_with_val_where_there_is_one():
    with_val = pd.DataFrame(
        {"epoch": [1, 2], "accuracy": [0.1, 0.2], "loss": [2, 1], "val_accuracy": [0.3, 0.4],
         "val_loss": [4, 3]}
    )  # fmt: skip
    without = pd.DataFrame({"epoch": [1], "accuracy": [0.5], "loss": [5]})
    table = gather_curves({"vgg16": with_val, "cnn": without})
    assert list(table) == ["model", "partition", "epoch", "accuracy", "loss"]
    assert table.to_numpy().tolist() == [
        ["vgg16", "train", 1, 0.1, 2],
        ["vgg16", "train", 2, 0.2, 1],
        ["vgg16", "val", 1, 0.3, 4],
        ["vgg16", "val", 2, 0.4, 3],
        ["cnn", "train", 1, 0.5, 5],
    ]


@pytest.mark.parametrize("profile", ["demo", "paper"])
def test_the_stage_puts_the_papers_numbers_beside_ours_only_in_its_profile(
    profile, tmp_path, monkeypatch
):
    params = yaml.safe_load((ROOT / "params.yaml").read_text()) | {"profile": profile}
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    for folder in ("evaluation", "curves"):
        Path(folder).mkdir()
    for model in params["models"]:
        Path(f"evaluation/{model}.json").write_text(json.dumps(scores()))
        Path(f"curves/{model}.csv").write_text("epoch,accuracy,loss\n1,0.5,2\n2,0.6,1\n")
    flags = (
        "--evaluations evaluation --curves curves --comparison metrics/comparison.json "
        "--table plots/comparison.csv --learning-curves plots/learning_curves.csv "
        "--markdown metrics/comparison.md"
    )
    monkeypatch.setattr(sys, "argv", ["compare.py", *flags.split()])
    runpy.run_path(str(ROOT / "stages" / "compare.py"), run_name="__main__")

    models = list(params["models"])
    assert list(json.loads(Path("metrics/comparison.json").read_text())) == models
    published = pd.read_csv("plots/comparison.csv").query("source == 'published'")["model"]
    assert set(published) == (
        set(PUBLISHED["paper"]) & set(models) if profile == "paper" else set()
    )
    assert len(pd.read_csv("plots/learning_curves.csv")) == 2 * len(models)
    assert CAVEATS[params["data"]["source"]] in Path("metrics/comparison.md").read_text("utf-8")


def test_what_a_reader_must_know_stands_below_the_table():
    text = describe_run("mine", "lesion", ["vgg16"], "Synthetic.")
    assert text == (
        "Profile mine, test images split by lesion. The backbones of vgg16 have random weights. "
        f"Synthetic. {NOT_A_MEDICAL_DEVICE}"
    )
    assert "random" not in describe_run("paper", "image", [], "")
