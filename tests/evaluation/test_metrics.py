import numpy as np
import pytest
from made_up import CODES, certain, make_predictions, point_measures
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    classification_report,
    cohen_kappa_score,
    f1_score,
    matthews_corrcoef,
    precision_recall_fscore_support,
    precision_score,
    recall_score,
    roc_auc_score,
    roc_curve,
)

from lesions.evaluation.bootstrap import draw_weights
from lesions.evaluation.metrics import (
    CLASS_MEASURES,
    MEASURES,
    WeightedRocCurve,
    brier_scores,
    calibration_errors,
    compute_measures,
    confidence_bins,
    confusion_matrices,
    weighted_means,
)


@pytest.fixture
def random_predictions():
    rng = np.random.default_rng(3)
    labels = rng.permutation(np.repeat(range(7), (30, 20, 40, 10, 50, 200, 15)))
    logits = rng.normal(size=(len(labels), 7))
    logits[np.arange(len(labels)), labels] += 1
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return labels, probabilities


def with_draws(n_resamples=6):
    labels, probabilities, lesions = make_predictions()
    weights = draw_weights(labels, lesions, n_resamples=n_resamples, seed=5).astype(float)
    return labels, probabilities, weights


def test_headline_numbers_follow_from_counting():
    # nv (5): 4 images, 3 found. mel (4): 2 images, 1 found; one nv is predicted as mel.
    #   precision: nv 3 of 4, mel 1 of 2. recall: nv 3/4, mel 1/2. So f1: nv 3/4, mel 1/2.
    labels = np.array([5, 5, 5, 5, 4, 4])
    scores, _ = point_measures(labels, certain([5, 5, 5, 4, 4, 5]))
    assert scores["accuracy"] == pytest.approx(4 / 6)
    for name in ("precision_macro", "recall_macro", "f1_macro", "balanced_accuracy"):
        assert scores[name] == pytest.approx((3 / 4 + 1 / 2) / 2)
    for name in ("precision_weighted", "recall_weighted", "f1_weighted"):
        assert scores[name] == pytest.approx((4 * 3 / 4 + 2 * 1 / 2) / 6)


def test_the_headline_equals_the_report_of_scikit_learn(random_predictions):
    labels, probabilities = random_predictions
    predicted = probabilities.argmax(axis=1)
    scores, _ = point_measures(labels, probabilities)
    report = classification_report(labels, predicted, output_dict=True, zero_division=0)
    for average in ("macro", "weighted"):
        for name, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert scores[f"{name}_{average}"] == pytest.approx(report[f"{average} avg"][theirs])
    assert scores["accuracy"] == pytest.approx(report["accuracy"])
    assert scores["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert scores["roc_auc_macro"] == pytest.approx(
        roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    )


def test_measures_are_in_order_with_the_resamples_on_the_last_axis():
    labels, probabilities, weights = with_draws(n_resamples=2)
    found = compute_measures(labels, probabilities, weights, calibration_bins=15)
    assert tuple(found) == (*MEASURES, *CLASS_MEASURES)
    assert all(found[name].shape == (2,) for name in MEASURES)
    assert all(found[name].shape == (7, 2) for name in CLASS_MEASURES)


def test_agreement_beyond_chance_follows_from_counting():
    # nv 4 images, 3 found; mel 2 images, 1 found; so nv is predicted 4 times, mel twice.
    #   agreement 4/6; by chance (4*4 + 2*2) / 36 = 20/36; kappa (24/36 - 20/36) / (16/36) = 1/4.
    #   Matthews of two classes: (3*1 - 1*1) / sqrt(4*4*2*2) = 2/8.
    scores, _ = point_measures(np.array([5, 5, 5, 5, 4, 4]), certain([5, 5, 5, 4, 4, 5]))
    assert scores["cohen_kappa"] == pytest.approx(1 / 4)
    assert scores["matthews"] == pytest.approx(2 / 8)


def test_agreement_is_undefined_with_only_one_class():
    scores, _ = point_measures(np.array([5, 5]), certain([5, 5]))
    assert scores["cohen_kappa"] is None
    assert scores["matthews"] is None
    assert point_measures(np.array([5, 5]), certain([5, 4]))[0]["matthews"] is None
    # Agreement 0, by chance 0: kappa is (0 - 0) / (1 - 0).
    assert point_measures(np.array([5, 5]), certain([4, 4]))[0]["cohen_kappa"] == 0


def test_the_brier_score_is_the_sum_of_squares_over_the_classes(random_predictions):
    # .7 on the diagnosis and .05 on the six others: .3² + 6 * .05²;
    # .7 on another: .7² + .95² + 5 * .05².
    scores = brier_scores(np.array([5, 5]), certain([5, 4]))
    assert scores == pytest.approx([0.09 + 6 * 0.0025, 0.49 + 0.9025 + 5 * 0.0025])
    labels, probabilities = random_predictions
    assert point_measures(labels, probabilities)[0]["brier"] == pytest.approx(
        brier_score_loss(labels, probabilities, labels=range(7))
    )


def test_the_calibration_error_weights_the_gaps_by_the_images_in_the_bins():
    # Five bins. (.6, .8]: four predictions at .7, two correct: gap .2.
    # (.8, 1]: one at .9, correct: gap .1.
    probabilities = np.vstack([certain([5, 5, 5, 5]), certain([4], of=0.9)])
    labels = np.array([5, 5, 4, 3, 4])
    expected = 4 / 5 * 0.2 + 1 / 5 * 0.1
    errors = calibration_errors(labels, probabilities, np.ones((5, 1)), n_bins=5)
    assert errors == pytest.approx([expected])
    # One bin: mean probability (4 * .7 + .9) / 5 = .74, accuracy 3/5.
    scores, _ = point_measures(labels, probabilities, calibration_bins=1)
    assert scores["calibration_error"] == pytest.approx(0.74 - 0.6)


def test_a_bin_includes_its_upper_edge():
    assert confidence_bins(np.array([0.0, 0.2, 0.21, 0.4, 1.0]), n_bins=5).tolist() == [
        0, 0, 1, 1, 4,
    ]  # fmt: skip


def test_the_measures_of_a_class_follow_from_counting():
    # nv, nv, nv, mel, bkl are predicted as nv, mel, nv, mel, nv. mel: TP 1, FP 1, TN 3, FN 0.
    _, classes = point_measures(np.array([5, 5, 5, 4, 2]), certain([5, 4, 5, 4, 5]))
    row = classes["mel"]
    assert (row["sensitivity"], row["ppv"], row["npv"]) == (1, 1 / 2, 1)
    assert row["specificity"] == pytest.approx(3 / 4)
    assert row["f1"] == pytest.approx(2 / 3)


def test_the_measures_of_a_class_equal_those_of_scikit_learn(random_predictions):
    labels, probabilities = random_predictions
    predicted = probabilities.argmax(axis=1)
    scores, classes = point_measures(labels, probabilities)
    report = classification_report(labels, predicted, target_names=CODES, output_dict=True)
    assert list(classes) == list(CODES)
    for label, dx in enumerate(CODES):
        ours = [classes[dx][name] for name in ("ppv", "sensitivity", "f1")]
        theirs = [report[dx][name] for name in ("precision", "recall", "f1-score")]
        assert ours == pytest.approx(theirs)
        assert classes[dx]["specificity"] == pytest.approx(
            recall_score(labels == label, predicted == label, pos_label=False)
        )
        assert classes[dx]["average_precision"] == pytest.approx(
            average_precision_score(labels == label, probabilities[:, label])
        )
    assert scores["average_precision_macro"] == pytest.approx(
        average_precision_score(np.eye(7)[labels], probabilities, average="macro")
    )


def test_the_area_under_the_curve_counts_correctly_ordered_pairs():
    # mel against the rest: positives .6 and .3, negatives .5 and .1: 3 of the 4 pairs are in order.
    # The probability of nv is one minus that of mel, so its pairs are the same.
    probabilities = np.zeros((4, 7))
    probabilities[:, 4] = [0.6, 0.3, 0.5, 0.1]
    probabilities[:, 5] = 1 - probabilities[:, 4]
    scores, classes = point_measures(np.array([4, 4, 5, 5]), probabilities)
    assert classes["mel"]["roc_auc"] == pytest.approx(3 / 4)
    assert scores["roc_auc_macro"] == pytest.approx(3 / 4)


def test_a_class_without_images_is_left_out_of_the_macro_means():
    # df (3) has no image but is predicted once: recall nv 2/3, mel 1/1, nothing for df.
    scores, classes = point_measures(np.array([5, 5, 5, 4]), certain([5, 5, 3, 4]))
    assert scores["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert scores["roc_auc_macro"] is not None
    assert classes["df"] == {
        "sensitivity": None, "specificity": 3 / 4, "ppv": 0, "npv": 1, "f1": 0,
        "roc_auc": None, "average_precision": None,
    }  # fmt: skip
    assert classes["vasc"]["ppv"] is None  # never predicted
    assert classes["vasc"]["f1"] is None


def test_with_only_one_class_there_is_no_area_under_the_curve():
    scores, _ = point_measures(np.array([5, 5]), certain([5, 4]))
    assert scores["roc_auc_macro"] is None
    assert scores["average_precision_macro"] is None


def test_the_headline_of_every_resample_equals_scikit_learn_with_these_weights():
    labels, probabilities, weights = with_draws()
    predicted = probabilities.argmax(axis=1)
    scores = compute_measures(labels, probabilities, weights, calibration_bins=15)
    for resample, sample_weight in enumerate(weights.T):
        w = {"sample_weight": sample_weight}
        expected = {
            "accuracy": accuracy_score(labels, predicted, **w),
            "balanced_accuracy": balanced_accuracy_score(labels, predicted, **w),
            "cohen_kappa": cohen_kappa_score(labels, predicted, **w),
            "matthews": matthews_corrcoef(labels, predicted, **w),
            "brier": brier_score_loss(labels, probabilities, labels=range(7), **w),
        }
        for average in ("macro", "weighted"):
            *values, _ = precision_recall_fscore_support(labels, predicted, average=average, **w)
            names = [f"{name}_{average}" for name in ("precision", "recall", "f1")]
            expected |= dict(zip(names, values, strict=True))
        for name, score in (
            ("roc_auc_macro", roc_auc_score),
            ("average_precision_macro", average_precision_score),
        ):
            expected[name] = np.mean(
                [score(labels == label, probabilities[:, label], **w) for label in range(7)]
            )
        # Weights are integers: repeat each image as often as it was drawn.
        drawn = np.repeat(np.arange(len(labels)), sample_weight.astype(int))
        repeated, _ = point_measures(labels[drawn], probabilities[drawn])
        expected["calibration_error"] = repeated["calibration_error"]
        ours = {name: scores[name][resample] for name in MEASURES}
        assert ours == pytest.approx(expected)


def test_the_classes_of_every_resample_equal_scikit_learn_with_these_weights():
    labels, probabilities, weights = with_draws()
    predicted = probabilities.argmax(axis=1)
    classes = compute_measures(labels, probabilities, weights, calibration_bins=15)
    for resample, sample_weight in enumerate(weights.T):
        w = {"sample_weight": sample_weight}
        for label in range(7):
            actual, found, score = labels == label, predicted == label, probabilities[:, label]
            expected = {
                "sensitivity": recall_score(actual, found, **w),
                "specificity": recall_score(actual, found, pos_label=False, **w),
                "ppv": precision_score(actual, found, **w),
                "npv": precision_score(actual, found, pos_label=False, **w),
                "f1": f1_score(actual, found, **w),
                "roc_auc": roc_auc_score(actual, score, **w),
                "average_precision": average_precision_score(actual, score, **w),
            }
            ours = {name: classes[name][label, resample] for name in CLASS_MEASURES}
            assert ours == pytest.approx(expected)


def test_operating_points_of_every_resample_equal_those_on_the_curve_of_scikit_learn():
    labels, probabilities, weights = with_draws()
    positive, scores = np.isin(labels, [0, 1, 4]), probabilities[:, [0, 1, 4]].sum(axis=1).round(9)
    curve = WeightedRocCurve(positive, scores, weights)
    for rate in (0.5, 0.9, 0.95):
        at_specificity, at_sensitivity = curve.sensitivity_at(rate), curve.specificity_at(rate)
        for resample, sample_weight in enumerate(weights.T):
            false_positive_rate, sensitivity, _ = roc_curve(
                positive, scores, sample_weight=sample_weight, drop_intermediate=False
            )
            specificity = 1 - false_positive_rate
            ours = [at_specificity[resample], at_sensitivity[resample]]
            theirs = [
                sensitivity[specificity >= rate - 1e-12].max(),
                specificity[sensitivity >= rate].max(),
            ]
            assert ours == pytest.approx(theirs)


def test_sensitivity_is_zero_if_the_highest_score_is_that_of_a_negative():
    # Any threshold that the positive reaches is reached by the only negative: specificity 0.
    ones = np.ones((2, 1))
    curve = WeightedRocCurve(np.array([False, True]), np.array([0.9, 0.1]), ones)
    assert curve.sensitivity_at(0.9).tolist() == [0]
    assert curve.specificity_at(0.9).tolist() == [0]
    assert curve.roc_auc().tolist() == [0]


def test_a_tie_of_a_positive_and_a_negative_counts_half():
    # Pairs: .5 > .1 in order, .5 = .5 a tie: (1 + 1/2) / 2;
    # the tied negative drawn three times: (1 + 3/2) / 4.
    positive, scores = np.array([True, False, False]), np.array([0.5, 0.5, 0.1])
    weights = np.array([[1, 1], [1, 3], [1, 1]], dtype=float)
    assert WeightedRocCurve(positive, scores, weights).roc_auc() == pytest.approx([3 / 4, 2.5 / 4])


def test_confusion_matrices_add_up_weights_with_the_diagnoses_in_rows():
    weights = np.array([[1, 2], [0, 3]], dtype=float)
    matrices = confusion_matrices(np.array([5, 5]), np.array([5, 4]), weights, n_classes=7)
    assert matrices[5, 5].tolist() == [1, 2]
    assert matrices[5, 4].tolist() == [0, 3]
    assert matrices.sum() == 6


def test_what_is_undefined_is_nan():
    labels, probabilities = np.array([5, 5]), np.eye(7)[[5, 5]]
    scores = compute_measures(labels, probabilities, np.ones((2, 1)), calibration_bins=15)
    for name in ("roc_auc_macro", "average_precision_macro", "cohen_kappa", "matthews"):
        assert np.isnan(scores[name]).all()
    assert np.isnan(scores["sensitivity"][4]).all()
    assert np.isnan(scores["roc_auc"]).all()
    assert scores["balanced_accuracy"].tolist() == [1]
    assert np.isnan(weighted_means(np.empty(0), np.empty((0, 1)))).all()
