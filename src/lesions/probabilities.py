"""What a user gets of a model's probabilities: calibrated ones, prediction sets, a decision.

What these take is fitted by the modules of the same names in `lesions.evaluation.calibration`.
"""

from collections.abc import Mapping

import numpy as np

MIN_PROBABILITY = 1e-7  # replaces the zeros of probabilities that were written with six decimals
TOLERANCE = 1e-9  # of a comparison with a threshold; covers its rounding and the CPU's last bits


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities that belong to logits `(n_images, n_classes)`."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return softmax(log(p) / T), float64 `(n_images, n_classes)`, rows sum to 1.

    A p below 1e-7 counts as 1e-7. T above 1 lowers the model's confidence, below 1 it raises it.
    """
    logits = np.log(np.maximum(np.asarray(probabilities, dtype=float), MIN_PROBABILITY))
    return softmax(logits / temperature)


def apply_calibration(probabilities: np.ndarray, calibration: Mapping) -> np.ndarray:
    """Return the probabilities that a user gets, scaled if there is a temperature."""
    if calibration["temperature"] is None:
        return np.array(probabilities, dtype=float)
    return apply_temperature(probabilities, calibration["temperature"])


def prediction_sets(probabilities: np.ndarray, conformal: Mapping) -> dict[str, np.ndarray]:
    """Return the `marginal` and the `class_conditional` prediction sets of images.

    Both are bool `(n_images, n_classes)`. `conformal` is the result of
    `lesions.evaluation.calibration.conformal.fit_thresholds` for probabilities with the same
    calibration. A set is empty if no diagnosis is probable enough.
    """
    scores = 1 - np.asarray(probabilities, dtype=float)
    by_class = np.array([row["threshold"] for row in conformal["classes"].values()])
    return {
        "marginal": scores <= conformal["threshold"] + TOLERANCE,
        "class_conditional": scores <= by_class + TOLERANCE,
    }


def decide(probabilities: np.ndarray, priors: np.ndarray, *, exponent: float) -> np.ndarray:
    """Return the predicted class of each image; the first if several have the largest value."""
    return (probabilities / priors**exponent).argmax(axis=1)
