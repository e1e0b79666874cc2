import numpy as np
import pytest
from made_up import CODES, MALIGNANT, make_predictions, point_measures
from sklearn.metrics import auc, balanced_accuracy_score, roc_auc_score

from lesions.evaluation.curves import (
    N_POINTS,
    confusion_table,
    precision_recall_table,
    referral_table,
    reliability_table,
    roc_table,
)


def test_each_class_and_malignant_have_a_curve_with_the_area_of_scikit_learn():
    labels, probabilities, _ = make_predictions()
    table = roc_table(labels, probabilities, codes=CODES, malignant=MALIGNANT)
    assert list(table) == ["dx", "false_positive_rate", "sensitivity"]
    assert list(table["dx"].unique()) == [*CODES, "malignant"]
    for label, dx in enumerate(CODES):
        curve = table[table["dx"] == dx]
        area = auc(curve["false_positive_rate"], curve["sensitivity"])
        assert area == pytest.approx(
            roc_auc_score(labels == label, probabilities[:, label]), abs=1e-5
        )


def test_a_long_curve_is_thinned_and_keeps_its_ends():
    rng = np.random.default_rng(0)
    probabilities = np.zeros((3000, 7))
    probabilities[:, 4] = rng.random(3000)
    probabilities[:, 5] = 1 - probabilities[:, 4]
    labels = rng.choice([4, 5], 3000)
    for make in (roc_table, precision_recall_table):
        table = make(labels, probabilities, codes=CODES, malignant=MALIGNANT)
        assert (table.groupby("dx").size() == N_POINTS).all()
    roc = roc_table(labels, probabilities, codes=CODES, malignant=MALIGNANT).groupby("dx")[
        ["false_positive_rate", "sensitivity"]
    ]
    assert (roc.first() == 0).all(axis=None)
    assert (roc.last() == 1).all(axis=None)


def test_the_precision_recall_curve_follows_from_counting():
    # Positives at .9 and .7, a negative at .8; from the lowest threshold: PPV 2/3, 1/2, 1/1.
    probabilities = np.zeros((3, 7))
    probabilities[:, 4] = [0.9, 0.8, 0.7]
    probabilities[:, 5] = 1 - probabilities[:, 4]
    table = precision_recall_table(
        np.array([4, 5, 4]), probabilities, codes=CODES, malignant=MALIGNANT
    )
    curve = table.loc[table["dx"] == "mel", ["sensitivity", "ppv"]].to_numpy()
    assert curve.tolist() == [[1, 0.666667], [0.5, 0.5], [0.5, 1]]


def test_with_only_one_class_there_is_no_curve():
    table = roc_table(np.array([5, 5]), np.full((2, 7), 1 / 7), codes=CODES, malignant=MALIGNANT)
    assert table.empty
    assert list(table) == ["dx", "false_positive_rate", "sensitivity"]


def test_the_calibration_error_follows_from_the_reliability_table():
    labels, probabilities, _ = make_predictions()
    both = {"raw": probabilities, "calibrated": np.full((len(labels), 7), 1 / 7)}
    table = reliability_table(labels, both, n_bins=10)
    assert list(table) == [
        "probabilities", "bin_low", "bin_high", "n_images", "confidence", "accuracy",
    ]  # fmt: skip
    for name, values in both.items():
        own = table[table["probabilities"] == name]
        assert own["n_images"].sum() == len(labels)
        gaps = (own["n_images"] * (own["accuracy"] - own["confidence"]).abs()).sum()
        scores, _ = point_measures(labels, values, calibration_bins=10)
        assert gaps / len(labels) == pytest.approx(scores["calibration_error"], abs=1e-5)
    # 1/7 is in the second of ten bins, and akiec, the first class, is predicted: 30 are correct.
    constant = table[table["probabilities"] == "calibrated"].iloc[0]
    assert (constant["bin_low"], constant["bin_high"]) == (0.1, 0.2)
    assert constant["accuracy"] == pytest.approx(30 / len(labels), abs=1e-6)


def test_the_least_confident_images_are_referred_first():
    # By confidence: nv correct, mel correct, nv wrong, mel wrong.
    probabilities = np.zeros((4, 7))
    confidence = np.array([0.6, 0.9, 0.7, 0.8])
    predicted = np.array([5, 5, 4, 4])
    probabilities[np.arange(4), predicted] = confidence
    probabilities[:, 0] = 1 - confidence
    labels = np.array([4, 5, 5, 4])
    table = referral_table(labels, probabilities, referred=[0, 0.25, 0.5, 0.75])
    assert table["n_images"].tolist() == [4, 3, 2, 1]
    assert table["accuracy"].tolist() == [0.5, 0.666667, 1, 1]
    # Of three: nv 1 of 2, mel 1 of 1; the last one is nv.
    assert table["balanced_accuracy"].tolist() == [0.5, 0.75, 1, 1]


def test_without_referral_the_scores_are_the_headline_and_one_image_always_remains():
    labels, probabilities, _ = make_predictions()
    table = referral_table(labels, probabilities, referred=[0, 0.3, 0.999])
    scores, _ = point_measures(labels, probabilities)
    for name in ("accuracy", "balanced_accuracy"):
        assert table[name][0] == pytest.approx(scores[name], abs=1e-6)
    assert table["n_images"].tolist() == [365, 365 - 110, 1]  # .3 * 365 = 109.5, to even
    kept = np.argsort(-probabilities.max(axis=1), kind="stable")[:255]
    assert table["balanced_accuracy"][1] == pytest.approx(
        balanced_accuracy_score(labels[kept], probabilities[kept].argmax(axis=1)), abs=1e-6
    )


def test_the_confusion_table_has_every_combination_in_order():
    labels, probabilities = np.array([5, 5, 4]), np.eye(7)[[5, 4, 4]]
    table = confusion_table(labels, probabilities, codes=CODES)
    assert list(table) == ["dx", "predicted", "n_images", "share"]
    assert list(zip(table["dx"], table["predicted"], strict=True)) == [
        (dx, predicted) for dx in CODES for predicted in CODES
    ]
    assert table.loc[table["n_images"] > 0].to_numpy().tolist() == [
        ["mel", "mel", 1, 1], ["nv", "mel", 1, 0.5], ["nv", "nv", 1, 0.5],
    ]  # fmt: skip
    assert table["share"].isna().sum() == 5 * 7  # of the five diagnoses without images


def test_the_first_of_two_equal_probabilities_is_predicted():
    probabilities = np.zeros((1, 7))
    probabilities[0, [2, 4]] = 0.5
    table = confusion_table(np.array([4]), probabilities, codes=CODES)
    assert table.loc[table["n_images"] > 0, "predicted"].tolist() == ["bkl"]
