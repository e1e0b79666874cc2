import numpy as np
import pytest
from made_up import world
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    cohen_kappa_score,
    f1_score,
    matthews_corrcoef,
    precision_recall_fscore_support,
    precision_score,
    recall_score,
    roc_auc_score,
    roc_curve,
)

from lesions.bootstrap import draw_weights
from lesions.metrics import CLASS_MEASURES, MEASURES, calibration_error, headline, per_class
from lesions.taxonomy import CODES
from lesions.weighted import RankingCurve, all_measures, confusions, means


def with_draws(n_resamples=6):
    labels, probabilities, lesions = world()
    weights = draw_weights(labels, lesions, n_resamples=n_resamples, seed=5).astype(float)
    return labels, probabilities, weights


def test_with_weights_of_one_every_measure_is_the_point_value():
    labels, probabilities, _ = world()
    ones = np.ones((len(labels), 1))
    scores, classes = all_measures(labels, probabilities, ones, calibration_bins=15)
    assert set(scores) == set(MEASURES)
    assert set(classes) == set(CLASS_MEASURES)
    points, of_classes = headline(labels, probabilities), per_class(labels, probabilities)
    for name in MEASURES:
        assert scores[name] == pytest.approx([points[name]])
    for name in CLASS_MEASURES:
        assert classes[name][:, 0] == pytest.approx([of_classes[dx][name] for dx in CODES])


def test_the_headline_of_every_resample_equals_scikit_learn_with_these_weights():
    labels, probabilities, weights = with_draws()
    predicted = probabilities.argmax(axis=1)
    scores, _ = all_measures(labels, probabilities, weights, calibration_bins=15)
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
        # Weights are whole numbers: repeat each image as often as it was drawn.
        drawn = np.repeat(np.arange(len(labels)), sample_weight.astype(int))
        expected["calibration_error"] = calibration_error(
            labels[drawn], probabilities[drawn], n_bins=15
        )
        ours = {name: values[resample] for name, values in scores.items()}
        assert ours == pytest.approx(expected)


def test_the_classes_of_every_resample_equal_scikit_learn_with_these_weights():
    labels, probabilities, weights = with_draws()
    predicted = probabilities.argmax(axis=1)
    _, classes = all_measures(labels, probabilities, weights, calibration_bins=15)
    for resample, sample_weight in enumerate(weights.T):
        w = {"sample_weight": sample_weight}
        for label in range(7):
            truth, call, score = labels == label, predicted == label, probabilities[:, label]
            expected = {
                "sensitivity": recall_score(truth, call, **w),
                "specificity": recall_score(truth, call, pos_label=False, **w),
                "ppv": precision_score(truth, call, **w),
                "npv": precision_score(truth, call, pos_label=False, **w),
                "f1": f1_score(truth, call, **w),
                "roc_auc": roc_auc_score(truth, score, **w),
                "average_precision": average_precision_score(truth, score, **w),
            }
            ours = {name: values[label, resample] for name, values in classes.items()}
            assert ours == pytest.approx(expected)


def test_operating_points_of_every_resample_equal_those_on_scikit_learns_curve():
    labels, probabilities, weights = with_draws()
    positive, scores = np.isin(labels, [0, 1, 4]), probabilities[:, [0, 1, 4]].sum(axis=1).round(9)
    curve = RankingCurve(positive, scores, weights)
    for rate in (0.5, 0.9, 0.95):
        at_specificity, at_sensitivity = curve.sensitivity_at(rate), curve.specificity_at(rate)
        for resample, sample_weight in enumerate(weights.T):
            alarms, found, _ = roc_curve(
                positive, scores, sample_weight=sample_weight, drop_intermediate=False
            )
            ours = [at_specificity[resample], at_sensitivity[resample]]
            theirs = [found[1 - alarms >= rate - 1e-12].max(), (1 - alarms)[found >= rate].max()]
            assert ours == pytest.approx(theirs)


def test_where_the_highest_score_is_a_negatives_no_sensitivity_may_be_left():
    # Any threshold that a positive passes is passed by the only negative: specificity 0.
    ones = np.ones((2, 1))
    curve = RankingCurve(np.array([False, True]), np.array([0.9, 0.1]), ones)
    assert curve.sensitivity_at(0.9).tolist() == [0]
    assert curve.specificity_at(0.9).tolist() == [0]
    assert curve.roc_auc().tolist() == [0]


def test_a_tie_of_a_positive_and_a_negative_counts_half():
    # Pairs: .5 > .1 in order, .5 = .5 a tie: (1 + 1/2) / 2;
    # the tied negative drawn three times: (1 + 3/2) / 4.
    positive, scores = np.array([True, False, False]), np.array([0.5, 0.5, 0.1])
    weights = np.array([[1, 1], [1, 3], [1, 1]], dtype=float)
    assert RankingCurve(positive, scores, weights).roc_auc() == pytest.approx([3 / 4, 2.5 / 4])


def test_confusions_add_up_weights():
    weights = np.array([[1, 2], [0, 3]], dtype=float)
    matrices = confusions(np.array([5, 5]), np.array([5, 4]), weights)
    assert matrices[5, 5].tolist() == [1, 2]
    assert matrices[5, 4].tolist() == [0, 3]
    assert matrices.sum() == 6


def test_what_is_not_defined_is_nan():
    labels, probabilities = np.array([5, 5]), np.eye(7)[[5, 5]]
    scores, classes = all_measures(labels, probabilities, np.ones((2, 1)), calibration_bins=15)
    for name in ("roc_auc_macro", "average_precision_macro", "cohen_kappa", "matthews"):
        assert np.isnan(scores[name]).all()
    assert np.isnan(classes["sensitivity"][4]).all()
    assert np.isnan(classes["roc_auc"]).all()
    assert scores["balanced_accuracy"].tolist() == [1]
    assert np.isnan(means(np.empty(0), np.empty((0, 1)))).all()
