import numpy as np
import pytest
from made_up import world
from sklearn.metrics import auc, balanced_accuracy_score, roc_auc_score

from lesions.curves import (
    N_POINTS,
    precision_recall_table,
    referral_table,
    reliability_table,
    roc_table,
)
from lesions.metrics import calibration_error, headline
from lesions.taxonomy import CODES


def test_each_class_and_malignant_have_a_curve_with_scikit_learns_area():
    labels, probabilities, _ = world()
    table = roc_table(labels, probabilities)
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
        table = make(labels, probabilities)
        assert (table.groupby("dx").size() == N_POINTS).all()
    roc = roc_table(labels, probabilities).groupby("dx")[["false_positive_rate", "sensitivity"]]
    assert (roc.first() == 0).all(axis=None)
    assert (roc.last() == 1).all(axis=None)


def test_the_precision_recall_curve_follows_from_counting():
    # mel at .9 (right), .8 (wrong), .7 (right); from the lowest threshold: PPV 2/3, 1/2, 1/1.
    probabilities = np.zeros((3, 7))
    probabilities[:, 4] = [0.9, 0.8, 0.7]
    probabilities[:, 5] = 1 - probabilities[:, 4]
    table = precision_recall_table(np.array([4, 5, 4]), probabilities)
    curve = table.loc[table["dx"] == "mel", ["sensitivity", "ppv"]].to_numpy()
    assert curve.tolist() == [[1, 0.666667], [0.5, 0.5], [0.5, 1]]


def test_one_class_alone_has_no_curve():
    table = roc_table(np.array([5, 5]), np.full((2, 7), 1 / 7))
    assert table.empty
    assert list(table) == ["dx", "false_positive_rate", "sensitivity"]


def test_the_reliability_table_gives_back_the_calibration_error():
    labels, probabilities, _ = world()
    both = {"raw": probabilities, "calibrated": np.full((len(labels), 7), 1 / 7)}
    table = reliability_table(labels, both, n_bins=10)
    assert list(table) == [
        "probabilities", "bin_low", "bin_high", "n_images", "confidence", "accuracy",
    ]  # fmt: skip
    for name, values in both.items():
        part = table[table["probabilities"] == name]
        assert part["n_images"].sum() == len(labels)
        gaps = (part["n_images"] * (part["accuracy"] - part["confidence"]).abs()).sum()
        error = calibration_error(labels, values, n_bins=10)
        assert gaps / len(labels) == pytest.approx(error, abs=1e-5)
    # 1/7 lies in the second of ten bins, and akiec, the first class, is predicted: 30 are right.
    constant = table[table["probabilities"] == "calibrated"].iloc[0]
    assert (constant["bin_low"], constant["bin_high"]) == (0.1, 0.2)
    assert constant["accuracy"] == pytest.approx(30 / len(labels), abs=1e-6)


def test_the_least_certain_are_referred_first():
    # By certainty: nv right, mel right, nv wrong, mel wrong; then half, then a quarter is left.
    probabilities = np.zeros((4, 7))
    certainty = np.array([0.6, 0.9, 0.7, 0.8])
    predicted = np.array([5, 5, 4, 4])
    probabilities[np.arange(4), predicted] = certainty
    probabilities[:, 0] = 1 - certainty
    labels = np.array([4, 5, 5, 4])
    table = referral_table(labels, probabilities, referred=[0, 0.25, 0.5, 0.75])
    assert table["n_images"].tolist() == [4, 3, 2, 1]
    assert table["accuracy"].tolist() == [0.5, 0.666667, 1, 1]
    # Of three: nv 1 of 2, mel 1 of 1; of the last one there is nv alone.
    assert table["balanced_accuracy"].tolist() == [0.5, 0.75, 1, 1]


def test_referring_nobody_leaves_the_headline_and_one_image_always_stays():
    labels, probabilities, _ = world()
    table = referral_table(labels, probabilities, referred=[0, 0.3, 0.999])
    scores = headline(labels, probabilities)
    for name in ("accuracy", "balanced_accuracy"):
        assert table[name][0] == pytest.approx(scores[name], abs=1e-6)
    assert table["n_images"].tolist() == [365, 365 - 110, 1]  # .3 * 365 = 109.5, to even
    kept = np.argsort(-probabilities.max(axis=1), kind="stable")[:255]
    assert table["balanced_accuracy"][1] == pytest.approx(
        balanced_accuracy_score(labels[kept], probabilities[kept].argmax(axis=1)), abs=1e-6
    )
