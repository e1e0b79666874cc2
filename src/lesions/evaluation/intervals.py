"""All measures of a set of images with their intervals, over all classes and for each.

A class with one or two units hardly differs from one resample to the next, so that its interval
would be far too narrow: neither that class nor any mean over classes has one.
"""

from collections.abc import Sequence

import numpy as np

from lesions.evaluation.bootstrap import (
    BootstrapConfig,
    draw_weights,
    estimate_all,
    evaluate_resamples,
)
from lesions.evaluation.metrics import CLASS_MEASURES, MEASURES, compute_measures

MIN_UNITS = 3  # in each class that has images, for an interval of a mean over classes
NO_INTERVAL = {"low": None, "high": None}


def score_images(
    labels: np.ndarray,
    probabilities: np.ndarray,
    units: np.ndarray,
    config: BootstrapConfig,
    *,
    codes: Sequence[str],
    weights: np.ndarray | None = None,
) -> tuple[dict, dict]:
    """Return estimates of all measures.

    Returns
    -------
    headline : dict
        `lesions.evaluation.metrics.MEASURES` to estimate.
    classes : dict
        dx to `n_images` and, for `CLASS_MEASURES`, estimates.
    """
    labels = np.asarray(labels)
    if weights is None:
        weights = draw_weights(labels, units, n_resamples=config.n_resamples, seed=config.seed)
    measured = measure_resamples(labels, probabilities, weights, config)
    headline = estimate_all({n: measured[n] for n in MEASURES}, confidence=config.confidence)
    for name in measures_without_interval(labels, units):
        headline[name] |= NO_INTERVAL
    classes = {}
    for label, dx in enumerate(codes):
        of_class = {name: measured[name][label] for name in CLASS_MEASURES}
        found = estimate_all(of_class, confidence=config.confidence)
        if len(np.unique(np.asarray(units)[labels == label])) < MIN_UNITS:
            found = {name: row | NO_INTERVAL for name, row in found.items()}
        classes[dx] = {"n_images": int(np.sum(labels == label)), **found}
    return headline, classes


def measure_resamples(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray, config: BootstrapConfig
) -> dict[str, np.ndarray]:
    """Return the result of `compute_measures` for all images and for every resample."""
    bins = config.calibration_bins
    return evaluate_resamples(
        lambda chunk: compute_measures(labels, probabilities, chunk, calibration_bins=bins), weights
    )


def measures_without_interval(labels: np.ndarray, units: np.ndarray) -> list[str]:
    """Return the means over classes if a class with images has under `MIN_UNITS` units."""
    labels, units = np.asarray(labels), np.asarray(units)
    if all(len(np.unique(units[labels == n])) >= MIN_UNITS for n in np.unique(labels)):
        return []
    return ["balanced_accuracy", *(name for name in MEASURES if name.endswith("_macro"))]
