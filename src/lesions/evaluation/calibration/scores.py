"""Scores of the calibration on test images: the effect of the temperature, the prediction sets."""

from collections.abc import Mapping, Sequence

import numpy as np

from lesions.evaluation.bootstrap import BootstrapConfig, estimate_all, evaluate_resamples
from lesions.evaluation.calibration.calibrate import describe_calibration
from lesions.evaluation.calibration.conformal import describe_thresholds, is_covered
from lesions.evaluation.calibration.temperature import log_losses
from lesions.evaluation.metrics import brier_scores, calibration_errors, weighted_means
from lesions.probabilities import apply_calibration, prediction_sets


def score_calibration(
    labels: np.ndarray,
    raw: np.ndarray,
    calibration: Mapping,
    weights: np.ndarray,
    config: BootstrapConfig,
) -> dict:
    """Return the calibration scores before and after temperature scaling of `raw` probabilities.

    Returns
    -------
    dict
        `before`, and `after` (None without a temperature): estimates of `calibration_error`,
        `brier` and `negative_log_likelihood`; `temperature`; `says`, a description.
    """
    bins = config.calibration_bins

    def score(probabilities):
        losses, squares = log_losses(labels, probabilities), brier_scores(labels, probabilities)
        measured = evaluate_resamples(
            lambda chunk: {
                "calibration_error": calibration_errors(labels, probabilities, chunk, n_bins=bins),
                "brier": weighted_means(squares, chunk),
                "negative_log_likelihood": weighted_means(losses, chunk),
            },
            weights,
        )
        return estimate_all(measured, confidence=config.confidence)

    temperature = calibration["temperature"]
    return {
        "before": score(raw),
        "after": None if temperature is None else score(apply_calibration(raw, calibration)),
        "temperature": temperature,
        "says": describe_calibration(calibration),
    }


def score_prediction_sets(
    labels: np.ndarray,
    probabilities: np.ndarray,
    calibration: Mapping,
    weights: np.ndarray,
    config: BootstrapConfig,
    *,
    codes: Sequence[str],
) -> dict | None:
    """Return coverage and mean size of the prediction sets of calibrated probabilities.

    Returns
    -------
    dict or None
        `coverage` (nominal); `says`, a description; for `marginal` and `class_conditional` sets
        `all` and `classes`, dx to `n_images`, `n_calibration` (images that set its threshold) and
        estimates of `coverage` and `mean_set_size`. None if the model is not calibrated.
    """
    conformal = calibration["conformal"]
    if conformal is None:
        return None

    def score(sets, rows):
        correct, sizes = is_covered(labels, sets)[rows], sets.sum(axis=1)[rows]
        measured = evaluate_resamples(
            lambda chunk: {
                "coverage": weighted_means(correct, chunk),
                "mean_set_size": weighted_means(sizes, chunk),
            },
            weights[rows],
        )
        return estimate_all(measured, confidence=config.confidence)

    scores = {"coverage": conformal["coverage"], "says": describe_thresholds(conformal)}
    for kind, sets in prediction_sets(probabilities, conformal).items():
        everything = {"n_images": len(labels), **score(sets, np.full(len(labels), True))}
        classes = {}
        for label, dx in enumerate(codes):
            counts = {
                "n_images": int(np.sum(labels == label)),
                "n_calibration": conformal["classes"][dx]["n_images"],
            }
            classes[dx] = counts | score(sets, labels == label)
        scores[kind] = {"all": everything, "classes": classes}
    return scores
