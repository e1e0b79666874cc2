import json

import numpy as np
import pandas as pd
import pytest

from lesions.bootstrap import Protocol
from lesions.comparison import (
    IN_SHORT,
    MEASURES,
    compare_models,
    compare_pairs,
    gather_curves,
    in_short,
)
from lesions.metrics import headline
from lesions.published import PUBLISHED
from lesions.taxonomy import PROBABILITIES

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
    return {"n_images": 10, "n_lesions": 9} | dict.fromkeys(MEASURES[2:], 0.5) | changes


def details_of(found):
    """Give intervals of .1 below to .1 above each value of `IN_SHORT`; no `df` nor `vasc`.

    An accuracy of .4 is that of a model that predicts nothing but nv.
    """
    headline = {
        name: {
            "value": found[name],
            "low": None if found[name] is None else found[name] - 0.1,
            "high": None if found[name] is None else found[name] + 0.1,
        }
        for name in IN_SHORT
    }
    right = {"mel": {"mel": 4, "nv": 0}, "nv": {"mel": 0, "nv": 6}}
    collapsed = {"mel": {"mel": 0, "nv": 6}, "nv": {"mel": 0, "nv": 4}}
    return {
        "headline": headline,
        "classes_without_images": ["df", "vasc"],
        "confusion": collapsed if found["accuracy"] == 0.4 else right,
    }


def compared(evaluations, published=None):
    details = {
        model: {source: details_of(found) for source, found in sources.items()}
        for model, sources in evaluations.items()
    }
    return compare_models(evaluations, details, published=published)


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


def test_the_headline_gives_the_same_measures():
    assert {*headline(np.array([5, 4]), np.full((2, 7), 1 / 7), calibration_bins=5)} == {
        *MEASURES[2:],
        "n_images",
    }


def test_models_stand_in_the_given_order_each_before_its_published_numbers():
    table = compared(
        {
            "vgg16": {"measured": scores(accuracy=0.6), "on isic": scores(accuracy=0.4)},
            "mine": {"measured": scores()},
            "cnn": {"measured": scores(accuracy=0.7)},
        },
        PUBLISHED["paper"],
    )
    assert table[["model", "source"]].to_numpy().tolist() == [
        ["vgg16", "measured"],
        ["vgg16", "on isic"],
        ["vgg16", "published"],
        ["mine", "measured"],
        ["cnn", "measured"],
        ["cnn", "published"],
        ["resnet50", "published"],
    ]
    assert table["accuracy"].tolist() == [0.6, 0.4, 0.636, 0.5, 0.7, 0.72, 0.2486]
    assert table["n_images"].tolist() == [10, 10, 2003, 10, 10, 2003, 2003]
    assert table["accuracy_low"].tolist()[:2] == [0.5, pytest.approx(0.3)]
    assert np.isnan(table.loc[5, ["roc_auc_macro", "accuracy_high"]].astype(float)).all()
    assert table["n_diagnoses"].fillna(0).tolist() == [5, 5, 0, 5, 5, 0, 0]
    assert table["only_predicted"].fillna("").tolist() == ["", "nv", "", "", "", "", ""]


def test_an_evaluation_without_a_measure_is_refused_by_name():
    lacking = scores()
    del lacking["matthews"]
    with pytest.raises(ValueError, match=r"that of cnn \(on isic\) lacks matthews; run 'dvc"):
        compared({"vgg16": {"measured": scores()}, "cnn": {"on isic": lacking}})


def test_the_short_form_has_measured_numbers_only_and_can_be_written_as_json():
    table = compared(
        {"cnn": {"measured": scores(accuracy=0.7, roc_auc_macro=None)}, "new": {"on x": scores()}},
        PUBLISHED["paper"],
    )
    short = in_short(table)
    assert json.loads(json.dumps(short, allow_nan=False)) == short
    assert short["cnn"]["measured"]["accuracy"] == {
        "value": 0.7,
        "low": pytest.approx(0.6),
        "high": pytest.approx(0.8),
    }
    assert short["cnn"]["measured"]["roc_auc_macro"] == {"value": None, "low": None, "high": None}
    assert {model: list(sources) for model, sources in short.items()} == {
        "cnn": ["measured"],
        "new": ["on x"],
    }


def test_pairs_are_compared_on_the_test_part_with_each_models_own_temperature():
    # Ten lesions of each of two classes; `good` is right about all, `bad` about none, both sure.
    labels = pd.DataFrame({"image_id": [f"i{n}" for n in range(21)]})
    labels = labels.assign(lesion_id=labels["image_id"], label=[4, 5] * 10 + [0])
    base = labels[["image_id", "label"]].assign(partition=["test"] * 20 + ["val"])

    def predicting(right):
        p = np.full((21, 7), 0.01)
        p[np.arange(21), labels["label"] if right else 9 - labels["label"].clip(4)] = 0.94
        return base.join(pd.DataFrame(p, columns=PROBABILITIES))

    calibrations = {"good": {"temperature": 2.0}, "bad": {"temperature": None}}
    predictions = {"good": predicting(True), "bad": predicting(False)}
    protocol = Protocol(n_resamples=50)
    (pair,) = compare_pairs(predictions, calibrations, labels, protocol)
    assert (pair["model"], pair["other"]) == ("good", "bad")
    assert pair["measures"]["accuracy"] == {"difference": 1, "low": 1, "high": 1, "real": True}
    # All 20 test images are right in one model only: p = 2 × (1/2)^20.
    assert pair["mcnemar"] == {
        "only_model_right": 20,
        "only_other_right": 0,
        "p": pytest.approx(2 * 0.5**20),
    }


def test_models_that_were_asked_about_different_images_are_refused():
    labels = pd.DataFrame({"image_id": ["a", "b"], "lesion_id": ["a", "b"]})
    one = labels[["image_id"]].assign(partition="test", label=5).assign(
        **dict.fromkeys(PROBABILITIES, 1 / 7)
    )  # fmt: skip
    two = one.iloc[::-1].reset_index(drop=True)
    with pytest.raises(ValueError, match="the test images of x and of y differ"):
        compare_pairs({"x": one, "y": two}, {}, labels, Protocol(n_resamples=50))


def test_curves_become_one_long_table_with_val_where_there_is_one():
    with_val = pd.DataFrame(
        {"epoch": [1, 2], "accuracy": [0.1, 0.2], "loss": [2, 1], "n_predicted_classes": [7, 6],
         "val_accuracy": [0.3, 0.4], "val_loss": [4, 3], "val_n_predicted_classes": [1, 2]}
    )  # fmt: skip
    without = pd.DataFrame(
        {"epoch": [1], "accuracy": [0.5], "loss": [5], "n_predicted_classes": [3]}
    )
    table = gather_curves({"vgg16": with_val, "cnn": without})
    assert list(table) == [
        "model", "partition", "epoch", "accuracy", "loss", "n_predicted_classes"
    ]  # fmt: skip
    assert table.to_numpy().tolist() == [
        ["vgg16", "train", 1, 0.1, 2, 7],
        ["vgg16", "train", 2, 0.2, 1, 6],
        ["vgg16", "val", 1, 0.3, 4, 1],
        ["vgg16", "val", 2, 0.4, 3, 2],
        ["cnn", "train", 1, 0.5, 5, 3],
    ]
