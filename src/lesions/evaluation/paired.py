"""Paired comparison of two models on the same images and the same resamples.

Differences are the first model minus the second. They are not corrected for the number of pairs:
among many models, some intervals exclude 0 by chance.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import binomtest

from lesions.evaluation.bootstrap import estimate
from lesions.evaluation.intervals import NO_INTERVAL
from lesions.evaluation.metrics import SUMMARY_MEASURES
from lesions.evaluation.predictions import check_predictions


def paired_differences(
    first: Mapping[str, np.ndarray],
    second: Mapping[str, np.ndarray],
    *,
    confidence: float,
    without_interval: Sequence[str] = (),
) -> dict[str, dict]:
    """Return the differences between two models with intervals of a paired bootstrap.

    Both models are measured on the same resamples, so that what makes a resample easy for both does
    not widen the interval (Efron, Tibshirani, *An Introduction to the Bootstrap*, 1993).

    Parameters
    ----------
    first, second
        Measures of the two models, from `lesions.evaluation.intervals.measure_resamples` with the
        same weights.
    without_interval
        As from `lesions.evaluation.intervals.measures_without_interval`.

    Returns
    -------
    dict of str to dict
        Those of `SUMMARY_MEASURES` that both have to `difference`, `low`, `high` and `real`:
        whether the interval excludes 0. Undefined numbers are None, `real` is then false.
    """
    differences = {}
    for name in SUMMARY_MEASURES:
        if name not in first or name not in second:
            continue
        found = estimate(first[name] - second[name], confidence=confidence)
        if name in without_interval:
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
