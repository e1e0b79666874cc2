"""Paired comparison of two models on the same images and the same resamples.

Differences are the first model minus the second. They are not corrected for the number of pairs:
among many models, some intervals exclude 0 by chance.
"""

import numpy as np
from scipy.stats import binomtest

from lesions.evaluation.bootstrap import BootstrapConfig, draw_weights, estimate
from lesions.evaluation.intervals import NO_INTERVAL, measure_resamples, measures_without_interval
from lesions.evaluation.metrics import SUMMARY_MEASURES
from lesions.evaluation.predictions import check_predictions


def paired_differences(
    labels: np.ndarray,
    probabilities: np.ndarray,
    others: np.ndarray,
    units: np.ndarray,
    config: BootstrapConfig,
) -> dict[str, dict]:
    """Return the differences between two models with intervals of a paired bootstrap.

    Both models are measured on the same resamples, so that what makes a resample easy for both does
    not widen the interval (Efron, Tibshirani, *An Introduction to the Bootstrap*, 1993).

    Parameters
    ----------
    probabilities, others
        Of the first and the second model.

    Returns
    -------
    dict of str to dict
        `SUMMARY_MEASURES` to `difference`, `low`, `high` and `real`: whether the interval excludes
        0. Undefined numbers are None, `real` is then false. With few units, means over classes
        have no interval, see `lesions.evaluation.intervals`.
    """
    weights = draw_weights(labels, units, n_resamples=config.n_resamples, seed=config.seed)
    first = measure_resamples(labels, probabilities, weights, config)
    second = measure_resamples(labels, others, weights, config)
    differences, excluded = {}, measures_without_interval(labels, units)
    for name in SUMMARY_MEASURES:
        found = estimate(first[name] - second[name], confidence=config.confidence)
        if name in excluded:
            found |= NO_INTERVAL
        low, high = found["low"], found["high"]
        real = low is not None and (low > 0 or high < 0)
        differences[name] = {"difference": found["value"], "low": low, "high": high, "real": real}
    return differences


def mcnemar(labels: np.ndarray, probabilities: np.ndarray, others: np.ndarray) -> dict:
    """Return McNemar's exact test of whether two models are equally often correct.

    `only_model_right` and `only_other_right` are numbers of images; `p` is 1.0 if both are 0.
    Under the null hypothesis, each model has half of the images that only one of them classifies
    correctly (McNemar, Psychometrika 12:153-157, 1947; two-sided binomial test). The test treats
    images as independent. Images of one lesion are not, so that p is too small if lesions have
    several; the paired bootstrap is then decisive.
    """
    first, second = (
        check_predictions(labels, p)[1].argmax(axis=1) == labels for p in (probabilities, others)
    )
    only = [int(np.sum(first & ~second)), int(np.sum(~first & second))]
    p = float(binomtest(only[0], sum(only)).pvalue) if sum(only) else 1.0
    return {"only_model_right": only[0], "only_other_right": only[1], "p": p}
