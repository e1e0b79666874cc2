import numpy as np
import pytest
from made_up import CODES, make_predictions, point_measures

from lesions.evaluation.bootstrap import BootstrapConfig
from lesions.evaluation.intervals import score_images
from lesions.evaluation.metrics import CLASS_MEASURES, MEASURES


def test_the_error_of_a_calibrated_model_is_in_its_interval():
    # Diagnoses are drawn from the model's own probabilities: any error is random.
    rng = np.random.default_rng(6)
    probabilities = rng.dirichlet(np.full(7, 0.5), size=400)
    labels = np.array([rng.choice(7, p=row) for row in probabilities])
    scores, _ = score_images(
        labels, probabilities, np.arange(400), BootstrapConfig(200), codes=CODES
    )
    error = scores["calibration_error"]
    assert error["low"] < error["value"] < error["high"]


def test_the_interval_of_a_share_is_that_of_the_binomial():
    # One class, 400 lesions of one image, 300 correct:
    # .75 ± 1.96 sqrt(.75 * .25 / 400) = .75 ± .0424.
    probabilities = np.eye(7)[[5] * 300 + [4] * 100]
    scores, _ = score_images(
        np.full(400, 5), probabilities, np.arange(400), BootstrapConfig(4000), codes=CODES
    )
    accuracy = scores["accuracy"]
    assert accuracy["value"] == 0.75
    assert [accuracy["low"], accuracy["high"]] == pytest.approx([0.7076, 0.7924], abs=0.005)


def test_several_images_of_a_lesion_widen_the_interval():
    # Four equal images of each of 100 lesions say no more than one: the standard deviation is that
    # of 100, .0433, so the interval is .75 ± .085, twice as wide as that of 400 lesions.
    probabilities = np.eye(7)[[5] * 300 + [4] * 100]
    lesions = np.arange(400) // 4
    scores, _ = score_images(
        np.full(400, 5), probabilities, lesions, BootstrapConfig(4000), codes=CODES
    )
    accuracy = scores["accuracy"]
    assert [accuracy["low"], accuracy["high"]] == pytest.approx([0.665, 0.835], abs=0.012)


def test_scores_are_the_point_estimates_with_intervals_around_them():
    labels, probabilities, lesions = make_predictions()
    scores, classes = score_images(
        labels, probabilities, lesions, BootstrapConfig(200), codes=CODES
    )
    points, of_classes = point_measures(labels, probabilities)
    assert list(scores) == list(MEASURES)
    for name in MEASURES:
        assert scores[name]["value"] == points[name]
        assert scores[name]["low"] < scores[name]["high"]
    for name in ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc_macro", "matthews"):
        assert scores[name]["low"] < points[name] < scores[name]["high"]
    assert list(classes) == list(CODES)
    for label, dx in enumerate(CODES):
        assert list(classes[dx]) == ["n_images", *CLASS_MEASURES]
        assert classes[dx]["n_images"] == np.sum(labels == label)
        for name in CLASS_MEASURES:
            assert classes[dx][name]["value"] == of_classes[dx][name]


def test_a_ppv_that_is_undefined_in_over_5_percent_of_the_resamples_has_no_interval():
    # One of 40 nv images is predicted as df: it is missing from (39/40)^40 = 36 % of the resamples.
    labels, predicted = np.full(41, 5), np.array([3] + [5] * 39 + [4])
    labels[-1] = 4
    _, classes = score_images(
        labels, np.eye(7)[predicted], np.arange(41), BootstrapConfig(200), codes=CODES
    )
    assert classes["df"]["ppv"] == {"value": 0, "low": None, "high": None}


def test_a_class_of_two_lesions_leaves_the_means_over_classes_without_an_interval():
    labels, probabilities, lesions = make_predictions()
    few = (labels == 3).nonzero()[0][2:]  # all of df but its first two images
    labels, probabilities, lesions = (
        np.delete(a, few, axis=0) for a in (labels, probabilities, lesions)
    )
    lesions[labels == 3] = ["df-a", "df-b"]
    scores, classes = score_images(
        labels, probabilities, lesions, BootstrapConfig(200), codes=CODES
    )
    for name in MEASURES:
        is_mean = name == "balanced_accuracy" or name.endswith("_macro")
        assert (scores[name]["low"] is None) == is_mean, name
    assert all(classes["df"][name]["low"] is None for name in CLASS_MEASURES)
    assert classes["nv"]["sensitivity"]["low"] is not None
