import numpy as np
import pytest
from made_up import CODES, make_predictions, point_measures
from sklearn.metrics import log_loss

from lesions.evaluation.bootstrap import BootstrapConfig, draw_weights
from lesions.evaluation.calibration.conformal import fit_thresholds
from lesions.evaluation.calibration.scores import score_calibration, score_prediction_sets
from lesions.probabilities import apply_temperature, prediction_sets

CONFIG = BootstrapConfig(n_resamples=100, confidence=0.9, calibration_bins=10, seed=1)


@pytest.fixture(scope="module")
def images():
    """Labels, raw probabilities and weights."""
    labels, probabilities, lesions = make_predictions()
    return labels, probabilities, draw_weights(labels, lesions, n_resamples=100, seed=1)


@pytest.fixture(scope="module")
def calibration():
    labels, probabilities, _ = make_predictions(seed=9)
    conformal = fit_thresholds(
        labels, apply_temperature(probabilities, 1.5), coverage=0.9, codes=CODES
    )
    return {
        "calibrated": True,
        "temperature": 1.5,
        "partition": "cal",
        "n_images": 41,
        "conformal": conformal,
    }


def test_the_effect_of_the_temperature_is_scored_with_intervals(images, calibration):
    labels, raw, weights = images
    effect = score_calibration(labels, raw, calibration, weights, CONFIG)
    assert effect["temperature"] == 1.5
    assert effect["says"] == "temperature 1.50, fitted on 41 calibration images"
    for name, probabilities in (("before", raw), ("after", apply_temperature(raw, 1.5))):
        points, _ = point_measures(labels, probabilities, calibration_bins=10)
        floored = np.maximum(probabilities, 1e-7)
        floored /= floored.sum(axis=1, keepdims=True)
        points["negative_log_likelihood"] = log_loss(labels, floored, labels=range(7))
        assert list(effect[name]) == ["calibration_error", "brier", "negative_log_likelihood"]
        for measure, row in effect[name].items():
            assert row["value"] == pytest.approx(points[measure], abs=1e-6)
            assert row["low"] < row["high"]


def test_coverage_and_size_of_prediction_sets_are_means_over_images(images, calibration):
    labels, raw, weights = images
    tempered = apply_temperature(raw, 1.5)
    scores = score_prediction_sets(labels, tempered, calibration, weights, CONFIG, codes=CODES)
    assert scores["coverage"] == 0.9
    assert "calibration images" in scores["says"]
    for kind, sets in prediction_sets(tempered, calibration["conformal"]).items():
        covered = sets[np.arange(len(labels)), labels]
        assert list(scores[kind]["classes"]) == list(CODES)
        assert scores[kind]["all"]["n_images"] == len(labels)
        assert scores[kind]["all"]["coverage"]["value"] == pytest.approx(covered.mean())
        assert scores[kind]["all"]["mean_set_size"]["value"] == pytest.approx(
            sets.sum() / len(labels)
        )
        mel = scores[kind]["classes"]["mel"]
        assert (mel["n_images"], mel["n_calibration"]) == (50, 50)
        assert mel["coverage"]["value"] == pytest.approx(covered[labels == 4].mean())
        assert mel["mean_set_size"]["value"] == pytest.approx(sets[labels == 4].sum() / 50)
        assert mel["coverage"]["low"] <= mel["coverage"]["value"] <= mel["coverage"]["high"]


def test_the_prediction_sets_of_a_class_without_images_have_no_scores(images, calibration):
    labels, raw, weights = (values[images[0] != 3] for values in images)
    scores = score_prediction_sets(labels, raw, calibration, weights, CONFIG, codes=CODES)
    undefined = {"value": None, "low": None, "high": None}
    assert scores["marginal"]["classes"]["df"] == {
        "n_images": 0, "n_calibration": 10, "coverage": undefined, "mean_set_size": undefined,
    }  # fmt: skip


def test_without_calibration_there_are_no_prediction_sets(images):
    labels, raw, weights = images
    calibration = {"conformal": None}
    assert score_prediction_sets(labels, raw, calibration, weights, CONFIG, codes=CODES) is None
