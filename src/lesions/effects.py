"""What calibration is worth on images that it has not seen: the temperature, the prediction sets.

`labels`, `probabilities` are as in `lesions.metrics`, `weights` what `lesions.bootstrap` draws.
"""

from collections.abc import Mapping

import numpy as np

from lesions.bootstrap import Protocol, estimates, over_resamples
from lesions.calibration import apply_calibration, describe_calibration
from lesions.conformal import covered, describe_thresholds, sets, sizes
from lesions.metrics import brier_scores, calibration_error
from lesions.taxonomy import CODES
from lesions.temperature import log_losses
from lesions.weighted import calibration_errors, means


def score_calibration(
    labels: np.ndarray,
    raw: np.ndarray,
    calibration: Mapping,
    weights: np.ndarray,
    protocol: Protocol,
) -> dict:
    """Say what the temperature does to the test images: the three scores of calibration.

    Returns
    -------
    dict
        `before`, and `after` (`None` without a temperature): estimates of `calibration_error`,
        `brier` and `negative_log_likelihood` (mean of `lesions.temperature.log_losses`);
        `temperature`; `says`, the same in words.
    """
    bins = protocol.calibration_bins

    def effect(probabilities):
        losses, squares = log_losses(labels, probabilities), brier_scores(labels, probabilities)
        points = {
            "calibration_error": calibration_error(labels, probabilities, n_bins=bins),
            "brier": float(squares.mean()),
            "negative_log_likelihood": float(losses.mean()),
        }
        resampled = over_resamples(
            lambda some: {
                "calibration_error": calibration_errors(labels, probabilities, some, n_bins=bins),
                "brier": means(squares, some),
                "negative_log_likelihood": means(losses, some),
            },
            weights,
        )
        return estimates(points, resampled, confidence=protocol.confidence)

    temperature = calibration["temperature"]
    return {
        "before": effect(raw),
        "after": None if temperature is None else effect(apply_calibration(raw, calibration)),
        "temperature": temperature,
        "says": describe_calibration(calibration),
    }


def score_sets(
    labels: np.ndarray,
    probabilities: np.ndarray,
    calibration: Mapping,
    weights: np.ndarray,
    protocol: Protocol,
) -> dict | None:
    """Say how often the prediction sets hold the diagnosis, and how large they are.

    Returns
    -------
    dict or None
        `coverage` (the one aimed at), `says`, and for `marginal` and `class_conditional` sets `all`
        and `classes`, `dx` to `n_images`, `n_calibration` (images that set its threshold) and the
        estimates `coverage` and `mean_set_size`. `None` where no images were set aside.
    """
    conformal = calibration["conformal"]
    if conformal is None:
        return None

    def summary(taken, rows):
        values = {"coverage": covered(labels, taken)[rows], "mean_set_size": sizes(taken)[rows]}
        points = {k: float(v.mean()) if len(v) else None for k, v in values.items()}
        resampled = over_resamples(
            lambda some: {name: means(value, some) for name, value in values.items()}, weights[rows]
        )
        estimated = estimates(points, resampled, confidence=protocol.confidence)
        return {"n_images": int(rows.sum()), **estimated}

    def report(taken):
        classes = {}
        for label, dx in enumerate(CODES):
            row = summary(taken, labels == label)
            n_calibration = conformal["classes"][dx]["n_images"]
            classes[dx] = {"n_images": row.pop("n_images"), "n_calibration": n_calibration, **row}
        return {"all": summary(taken, np.full(len(labels), True)), "classes": classes}

    reports = {kind: report(taken) for kind, taken in sets(probabilities, conformal).items()}
    says = describe_thresholds(conformal)
    return {"coverage": conformal["coverage"], "says": says, **reports}
