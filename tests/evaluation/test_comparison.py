import json

import numpy as np
import pandas as pd
import pytest
from made_up import CODES, PROBABILITIES, point_measures

from lesions.evaluation.baselines import PUBLISHED, published_scores
from lesions.evaluation.bootstrap import BootstrapConfig
from lesions.evaluation.comparison import (
    compare_models,
    compare_pairs,
    headline_metrics,
    stack_learning_curves,
    stack_tables,
    summarize,
)
from lesions.evaluation.metrics import MEASURES, SUMMARY_MEASURES
from lesions.probabilities import apply_temperature
from lesions.report.wording import to_markdown


def details_of(**changes):
    """Return an evaluation, .5 for all measures but the changed ones, intervals ± .1.

    There is neither `df` nor `vasc`. With an accuracy of .4 the model predicts only nv.
    """
    headline = {
        name: {
            "value": value,
            "low": None if value is None else value - 0.1,
            "high": None if value is None else value + 0.1,
        }
        for name, value in (dict.fromkeys(MEASURES, 0.5) | changes).items()
    }
    return {
        "n_images": 10,
        "n_lesions": 9,
        "headline": headline,
        "classes": {dx: {} for dx in CODES},
        "classes_without_images": ["df", "vasc"],
        "only_predicted": "nv" if changes.get("accuracy") == 0.4 else None,
    }


def test_models_are_in_the_given_order_each_before_its_published_numbers():
    table = compare_models(
        {
            "vgg16": {"study": details_of(accuracy=0.6), "isic": details_of(accuracy=0.4)},
            "mine": {"study": details_of()},
            "cnn": {"study": details_of(accuracy=0.7)},
        },
        published=PUBLISHED["paper"],
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
    assert list(table) == [
        "model", "source", "n_images", "n_lesions", *MEASURES,
        *(f"{name}_{bound}" for name in SUMMARY_MEASURES for bound in ("low", "high")),
        *(f"{name}_adjusted{end}" for name in ("accuracy", "balanced_accuracy")
          for end in ("", "_low", "_high")),
        "n_diagnoses", "only_predicted",
    ]  # fmt: skip
    assert table["accuracy"].tolist() == [0.6, 0.4, 0.636, 0.5, 0.7, 0.72, 0.2486]
    assert table["n_images"].tolist() == [10, 10, 2003, 10, 10, 2003, 2003]
    assert table["accuracy_low"].tolist()[:2] == [0.5, pytest.approx(0.3)]
    assert np.isnan(table.loc[5, ["roc_auc_macro", "accuracy_high"]].astype(float)).all()
    assert table["n_diagnoses"].fillna(0).tolist() == [5, 5, 0, 5, 5, 0, 0]
    assert table["only_predicted"].fillna("").tolist() == ["", "nv", "", "", "", "", ""]


def test_the_summary_has_four_measures_and_can_be_written_as_json():
    summary = summarize(
        {
            "cnn": {"study": details_of(accuracy=0.7, roc_auc_macro=None)},
            "new": {"x": details_of()},
        }
    )
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert list(summary["cnn"]["study"]) == list(SUMMARY_MEASURES)
    assert summary["cnn"]["study"]["accuracy"] == {
        "value": 0.7,
        "low": pytest.approx(0.6),
        "high": pytest.approx(0.8),
    }
    assert summary["cnn"]["study"]["roc_auc_macro"] == {"value": None, "low": None, "high": None}
    assert list(summary["new"]) == ["x"]


def test_headline_metrics_have_five_short_names():
    found = headline_metrics(
        details_of(accuracy=0.1, balanced_accuracy=0.2, f1_macro=0.3, roc_auc_macro=None)
    )
    assert found == {"accuracy": 0.1, "balanced": 0.2, "f1": 0.3, "auc": None, "ece": 0.5}


def adjusted():
    """Details with the rule `prior_adjusted`, whose accuracy is .3 and balanced accuracy .8."""
    scores = {"accuracy": 0.3, "balanced_accuracy": 0.8}
    scores = {name: {"value": v, "low": v - 0.1, "high": v + 0.1} for name, v in scores.items()}
    return details_of() | {"decision": {"rule": "prior_adjusted", "exponent": 0.5, **scores}}


def test_headline_metrics_have_two_more_names_with_the_adjusted_rule():
    found = headline_metrics(adjusted())
    assert list(found)[5:] == ["accuracy_adjusted", "balanced_adjusted"]
    assert (found["accuracy_adjusted"], found["balanced_adjusted"]) == (0.3, 0.8)
    assert (found["accuracy"], found["balanced"]) == (0.5, 0.5)
    plain = details_of() | {"decision": adjusted()["decision"] | {"rule": "plain"}}
    assert len(headline_metrics(plain)) == 5


def test_the_table_has_the_scores_of_both_rules():
    table = compare_models({"cnn": {"study": adjusted()}, "vgg16": {"study": details_of()}})
    assert table["balanced_accuracy"].tolist() == [0.5, 0.5]
    assert table["balanced_accuracy_adjusted"].fillna(-1).tolist() == [0.8, -1]
    assert table["accuracy_adjusted_low"][0] == pytest.approx(0.2)
    text = to_markdown(table, n_classes=7)
    assert "| accuracy, prior-adjusted | balanced accuracy, prior-adjusted |" in text
    assert "| 0.300 (0.200–0.400) | 0.800 (0.700–0.900) |" in text
    assert "prior-adjusted" not in to_markdown(table[1:], n_classes=7)


def test_pairs_are_compared_on_the_test_images():
    # Ten lesions of each of two classes; `good` is correct on all, `bad` on none.
    labels = pd.DataFrame({"image_id": [f"i{n}" for n in range(21)]})
    labels = labels.assign(unit=range(21), label=[4, 5] * 10 + [0])
    base = labels[["image_id", "label"]].assign(partition=["test"] * 20 + ["val"])

    def predicting(right):
        p = np.full((21, 7), 0.01)
        p[np.arange(21), labels["label"] if right else 9 - labels["label"].clip(4)] = 0.94
        return base.join(pd.DataFrame(p, columns=PROBABILITIES))

    calibrations = {name: {"temperature": None} for name in ("good", "bad")}
    predictions = {"good": predicting(True), "bad": predicting(False)}
    config = BootstrapConfig(n_resamples=50)
    (pair,) = compare_pairs(predictions, calibrations, labels[:20], config, partition="test")
    assert (pair["model"], pair["other"]) == ("good", "bad")
    assert pair["measures"]["accuracy"] == {"difference": 1, "low": 1, "high": 1, "real": True}
    # All 20 test images are correct in one model only: p = 2 × (1/2)^20.
    assert pair["mcnemar"] == {
        "only_model_right": 20,
        "only_other_right": 0,
        "p": pytest.approx(2 * 0.5**20),
    }


def test_pairs_are_compared_with_the_temperature_of_each_model():
    rng = np.random.default_rng(1)
    labels = pd.DataFrame({"image_id": [f"i{n}" for n in range(70)], "label": [*range(7)] * 10})
    labels["unit"] = range(70)
    base = labels[["image_id", "label"]].assign(partition="test")
    drawn = {name: rng.dirichlet([1] * 7, 70) for name in ("a", "b")}
    predictions = {
        name: base.join(pd.DataFrame(p, columns=PROBABILITIES)) for name, p in drawn.items()
    }

    def difference(temperature):
        calibrations = {"a": {"temperature": temperature}, "b": {"temperature": None}}
        config = BootstrapConfig(n_resamples=5)
        (pair,) = compare_pairs(predictions, calibrations, labels, config, partition="test")
        return pair["measures"]["roc_auc_macro"]["difference"]

    actual = labels["label"].to_numpy()
    calibrated, raw = apply_temperature(drawn["a"], 5.0), drawn["b"]
    expected = [point_measures(actual, p)[0]["roc_auc_macro"] for p in (calibrated, raw)]
    assert difference(5.0) == pytest.approx(expected[0] - expected[1])
    assert difference(5.0) != difference(None)


def test_models_with_different_test_images_are_refused():
    labels = pd.DataFrame({"image_id": ["a", "b"], "unit": [0, 1]})
    one = labels[["image_id"]].assign(partition="test", label=5).assign(
        **dict.fromkeys(PROBABILITIES, 1 / 7)
    )  # fmt: skip
    two = one.iloc[::-1].reset_index(drop=True)
    with pytest.raises(ValueError, match="The test images of x and y differ"):
        compare_pairs({"x": one, "y": two}, {}, labels, BootstrapConfig(), partition="test")


def test_stacked_tables_begin_with_model_and_set():
    table = pd.DataFrame({"dx": ["mel", "nv"], "ppv": [0.1, 0.2]})
    empty = pd.DataFrame({"dx": [], "ppv": []})
    stacked = stack_tables({"vgg16": {"study": table, "isic": empty}, "cnn": {"isic": table[1:]}})
    assert list(stacked) == ["model", "set", "dx", "ppv"]
    assert stacked.to_numpy().tolist() == [
        ["vgg16", "study", "mel", 0.1],
        ["vgg16", "study", "nv", 0.2],
        ["cnn", "isic", "nv", 0.2],
    ]
    assert stacked.index.tolist() == [0, 1, 2]


NOT_MONITORED = pd.DataFrame({"epoch": [], "test_accuracy": [], "test_loss": []})


def test_learning_curves_become_one_long_table_with_val_if_there_is_one():
    with_val = pd.DataFrame(
        {"epoch": [1, 2], "accuracy": [0.1, 0.2], "loss": [2, 1], "n_predicted_classes": [7, 6],
         "val_accuracy": [0.3, 0.4], "val_loss": [4, 3], "val_n_predicted_classes": [1, 2]}
    )  # fmt: skip
    without = pd.DataFrame(
        {"epoch": [1], "accuracy": [0.5], "loss": [5], "n_predicted_classes": [3]}
    )
    monitored = {"vgg16": NOT_MONITORED, "cnn": NOT_MONITORED}
    table = stack_learning_curves({"vgg16": with_val, "cnn": without}, monitored=monitored)
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
    monitored["cnn"] = pd.DataFrame({"epoch": [1], "test_accuracy": [0.6], "test_loss": [4.0]})
    longer = stack_learning_curves({"vgg16": with_val, "cnn": without}, monitored=monitored)
    pd.testing.assert_frame_equal(longer[:-1], table, check_dtype=False)
    assert longer.to_csv(index=False).splitlines()[-1] == "cnn,test,1,0.6,4.0,"


def test_a_score_on_validation_images_is_named_as_one():
    table = compare_models({"cnn": {"study": {**details_of(), "partition": "val"}}})
    assert table["source"].tolist() == ["measured on validation images"]


@pytest.mark.parametrize(
    ("profile", "name", "partition", "listed"),
    [
        ("paper", "study", "test", True),
        ("paper", "study", "val", False),
        ("paper", "isic2018", "test", False),
        ("recommended", "isic2018", "test", True),
        ("ensemble", "isic2018", "test", True),
        ("recommended", "study", "test", False),
        ("demo", "study", "test", False),
    ],
)
def test_published_scores_stand_beside_scores_on_the_same_test_images_alone(
    profile, name, partition, listed
):
    found = published_scores(profile, name=name, partition=partition)
    assert found == (PUBLISHED[profile] if listed else {})
