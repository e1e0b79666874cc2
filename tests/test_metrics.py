import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    classification_report,
    recall_score,
    roc_auc_score,
)

from lesions.metrics import (
    CLASS_MEASURES,
    MEASURES,
    brier_scores,
    calibration_error,
    confidence_bins,
    confusion,
    find_only_predicted,
    headline,
    name_predictions,
    per_class,
)
from lesions.taxonomy import CODES


def certain(predicted, *, of=0.7):
    """Give `(n_images, 7)` with `of` at the predicted label and the rest shared equally."""
    probabilities = np.full((len(predicted), 7), (1 - of) / 6)
    probabilities[np.arange(len(predicted)), predicted] = of
    return probabilities


@pytest.fixture
def random_predictions():
    rng = np.random.default_rng(3)
    labels = rng.permutation(np.repeat(range(7), (30, 20, 40, 10, 50, 200, 15)))
    logits = rng.normal(size=(len(labels), 7))
    logits[np.arange(len(labels)), labels] += 1
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return labels, probabilities


def test_headline_numbers_follow_from_counting():
    # nv (5): 4 images, 3 found. mel (4): 2 images, 1 found, and one nv is taken for mel.
    #   precision: nv 3 of 4, mel 1 of 2. recall: nv 3/4, mel 1/2. So f1: nv 3/4, mel 1/2.
    labels = np.array([5, 5, 5, 5, 4, 4])
    scores = headline(labels, certain([5, 5, 5, 4, 4, 5]))
    assert scores["n_images"] == 6
    assert scores["accuracy"] == pytest.approx(4 / 6)
    for name in ("precision_macro", "recall_macro", "f1_macro", "balanced_accuracy"):
        assert scores[name] == pytest.approx((3 / 4 + 1 / 2) / 2)
    for name in ("precision_weighted", "recall_weighted", "f1_weighted"):
        assert scores[name] == pytest.approx((4 * 3 / 4 + 2 * 1 / 2) / 6)


def test_headline_equals_scikit_learns_own_report(random_predictions):
    labels, probabilities = random_predictions
    predicted = probabilities.argmax(axis=1)
    scores = headline(labels, probabilities)
    report = classification_report(labels, predicted, output_dict=True, zero_division=0)
    for average in ("macro", "weighted"):
        for name, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert scores[f"{name}_{average}"] == pytest.approx(report[f"{average} avg"][theirs])
    assert scores["accuracy"] == pytest.approx(report["accuracy"])
    assert scores["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert scores["roc_auc_macro"] == pytest.approx(
        roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    )


def test_headline_and_classes_have_every_measure_in_order(random_predictions):
    assert tuple(headline(*random_predictions)) == ("n_images", *MEASURES)
    for row in per_class(*random_predictions).values():
        assert tuple(row) == ("n_images", *CLASS_MEASURES)


def test_agreement_beyond_chance_follows_from_counting():
    # nv 4 images, 3 found; mel 2 images, 1 found; so nv is predicted 4 times, mel twice.
    #   agreement 4/6; by chance (4*4 + 2*2) / 36 = 20/36; kappa (24/36 - 20/36) / (16/36) = 1/4.
    #   Matthews of two classes: (3*1 - 1*1) / sqrt(4*4*2*2) = 2/8.
    scores = headline(np.array([5, 5, 5, 5, 4, 4]), certain([5, 5, 5, 4, 4, 5]))
    assert scores["cohen_kappa"] == pytest.approx(1 / 4)
    assert scores["matthews"] == pytest.approx(2 / 8)


def test_agreement_is_not_defined_where_there_is_one_class_alone():
    scores = headline(np.array([5, 5]), certain([5, 5]))
    assert scores["cohen_kappa"] is None
    assert scores["matthews"] is None
    assert headline(np.array([5, 5]), certain([5, 4]))["matthews"] is None
    # Agreement 0, by chance 0: kappa is (0 - 0) / (1 - 0).
    assert headline(np.array([5, 5]), certain([4, 4]))["cohen_kappa"] == 0


def test_the_brier_score_is_the_sum_of_the_squares_over_the_classes(random_predictions):
    # .7 on the diagnosis and .05 on the six others: .3² + 6 * .05²;
    # .7 on another: .7² + .95² + 5 * .05².
    scores = brier_scores(np.array([5, 5]), certain([5, 4]))
    assert scores == pytest.approx([0.09 + 6 * 0.0025, 0.49 + 0.9025 + 5 * 0.0025])
    labels, probabilities = random_predictions
    assert headline(labels, probabilities)["brier"] == pytest.approx(
        brier_score_loss(labels, probabilities, labels=range(7))
    )


def test_the_calibration_error_weighs_the_gaps_by_the_images_in_the_bins():
    # Five bins. (.6, .8]: four predictions at .7, two right: gap .2. (.8, 1]: one at .9, right: .1.
    probabilities = np.vstack([certain([5, 5, 5, 5]), certain([4], of=0.9)])
    labels = np.array([5, 5, 4, 3, 4])
    expected = 4 / 5 * 0.2 + 1 / 5 * 0.1
    assert calibration_error(labels, probabilities, n_bins=5) == pytest.approx(expected)
    # One bin: mean probability (4 * .7 + .9) / 5 = .74, share of hits 3/5.
    scores = headline(labels, probabilities, calibration_bins=1)
    assert scores["calibration_error"] == pytest.approx(0.74 - 0.6)


def test_a_bin_holds_its_upper_edge():
    assert confidence_bins(np.array([0.0, 0.2, 0.21, 0.4, 1.0]), n_bins=5).tolist() == [
        0, 0, 1, 1, 4,
    ]  # fmt: skip


def test_each_class_follows_from_counting():
    # mel of nv, nv, nv, mel, bkl taken for nv, mel, nv, mel, nv: TP 1, FP 1, TN 3, FN 0.
    row = per_class(np.array([5, 5, 5, 4, 2]), certain([5, 4, 5, 4, 5]))["mel"]
    assert row["n_images"] == 1
    assert (row["sensitivity"], row["ppv"], row["npv"]) == (1, 1 / 2, 1)
    assert row["specificity"] == pytest.approx(3 / 4)
    assert row["f1"] == pytest.approx(2 / 3)


def test_each_class_equals_scikit_learn(random_predictions):
    labels, probabilities = random_predictions
    predicted = probabilities.argmax(axis=1)
    classes = per_class(labels, probabilities)
    report = classification_report(labels, predicted, target_names=CODES, output_dict=True)
    assert list(classes) == list(CODES)
    for label, dx in enumerate(CODES):
        ours = [classes[dx][name] for name in ("ppv", "sensitivity", "f1", "n_images")]
        theirs = [report[dx][name] for name in ("precision", "recall", "f1-score", "support")]
        assert ours == pytest.approx(theirs)
        assert classes[dx]["specificity"] == pytest.approx(
            recall_score(labels == label, predicted == label, pos_label=False)
        )
        assert classes[dx]["average_precision"] == pytest.approx(
            average_precision_score(labels == label, probabilities[:, label])
        )
    assert headline(labels, probabilities)["average_precision_macro"] == pytest.approx(
        average_precision_score(np.eye(7)[labels], probabilities, average="macro")
    )


def test_the_area_under_the_curve_counts_well_ordered_pairs():
    # mel against the rest: positives .6 and .3, negatives .5 and .1: 3 of the 4 pairs are in order.
    # Of the two classes, nv's probability is one minus mel's, so its pairs are the same.
    probabilities = np.zeros((4, 7))
    probabilities[:, 4] = [0.6, 0.3, 0.5, 0.1]
    probabilities[:, 5] = 1 - probabilities[:, 4]
    labels = np.array([4, 4, 5, 5])
    assert per_class(labels, probabilities)["mel"]["roc_auc"] == pytest.approx(3 / 4)
    assert headline(labels, probabilities)["roc_auc_macro"] == pytest.approx(3 / 4)


def test_a_class_without_images_is_left_out_of_the_macro_means():
    # df (3) has no image but is predicted once: recall nv 2/3, mel 1/1, nothing for df.
    labels, probabilities = np.array([5, 5, 5, 4]), certain([5, 5, 3, 4])
    scores = headline(labels, probabilities)
    assert scores["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert scores["roc_auc_macro"] is not None
    classes = per_class(labels, probabilities)
    assert classes["df"] == {
        "n_images": 0, "sensitivity": None, "specificity": 3 / 4, "ppv": 0, "npv": 1, "f1": 0,
        "roc_auc": None, "average_precision": None,
    }  # fmt: skip
    assert classes["vasc"]["ppv"] is None  # never predicted
    assert classes["vasc"]["f1"] is None


def test_one_class_alone_has_no_area_under_the_curve():
    scores = headline(np.array([5, 5]), certain([5, 4]))
    assert scores["roc_auc_macro"] is None
    assert scores["average_precision_macro"] is None


def test_confusion_has_the_diagnoses_in_rows():
    labels, probabilities = np.array([5, 5, 4]), certain([5, 4, 4])
    expected = np.zeros((7, 7), int)
    expected[5, 5] = expected[5, 4] = expected[4, 4] = 1
    np.testing.assert_array_equal(confusion(labels, probabilities), expected)
    assert name_predictions(labels, probabilities).to_numpy().tolist() == [
        ["nv", "nv"], ["nv", "mel"], ["mel", "mel"],
    ]  # fmt: skip


def test_of_two_equal_probabilities_the_first_is_predicted():
    probabilities = np.zeros((1, 7))
    probabilities[0, [2, 4]] = 0.5
    assert name_predictions(np.array([4]), probabilities)["predicted"].tolist() == ["bkl"]


@pytest.mark.parametrize(
    ("predicted", "only"), [([3, 3, 3], "df"), ([3, 3, 5], None), ([5], "nv"), ([], None)]
)
def test_a_model_that_predicts_one_class_alone_is_told(predicted, only):
    rows = dict.fromkeys(CODES, 0) | {CODES[label]: predicted.count(label) for label in predicted}
    assert find_only_predicted({"mel": rows, "nv": dict.fromkeys(CODES, 0)}) == only
