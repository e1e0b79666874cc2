"""Is one model better than another, or lucky? Both asked about the same images, the same resamples.

Differences are of the first model minus the other. They are not corrected for the number of pairs
that are compared: with many models, some intervals leave 0 out by chance.
"""

import numpy as np
from scipy.stats import binomtest

from lesions.bootstrap import Protocol, draw_weights, interval, over_resamples
from lesions.metrics import headline
from lesions.predictions import check_predictions
from lesions.scores import has_few_lesions, is_mean_of_classes
from lesions.weighted import all_measures

MEASURES = ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc_macro")


def paired_differences(
    labels: np.ndarray,
    probabilities: np.ndarray,
    others: np.ndarray,
    lesions: np.ndarray,
    protocol: Protocol,
) -> dict[str, dict]:
    """Give the differences between two models, with the intervals of a paired bootstrap.

    Both models are measured on the same resamples, so what makes some of them easier for both does
    not widen the interval (Efron, Tibshirani 1993; `lesions.bootstrap` says how lesions are drawn).

    Parameters
    ----------
    labels
        Integers 0 to 6, `(n_images,)`.
    probabilities, others
        Of the model and of the other one, each `(n_images, 7)`, of the same images.
    lesions
        The lesion of every image.
    protocol
        Resamples, confidence, seed.

    Returns
    -------
    dict of str to dict
        `MEASURES` to `difference`, `low`, `high` and `real`: the interval leaves 0 out. The
        numbers are `None` and `real` is false where a measure is not defined; there is no interval
        where `lesions.scores.MIN_LESIONS` forbids it.
    """
    weights = draw_weights(labels, lesions, n_resamples=protocol.n_resamples, seed=protocol.seed)
    points, resampled = zip(
        *(_measured(labels, p, weights, protocol) for p in (probabilities, others)), strict=True
    )
    differences, few = {}, has_few_lesions(labels, lesions)
    for name in MEASURES:
        values = [point[name] for point in points]
        low, high = None, None
        difference = None if None in values else values[0] - values[1]
        if difference is not None and not (few and is_mean_of_classes(name)):
            apart = resampled[0][name] - resampled[1][name]
            low, high = interval(apart, confidence=protocol.confidence)
        real = low is not None and (low > 0 or high < 0)
        differences[name] = {"difference": difference, "low": low, "high": high, "real": real}
    return differences


def mcnemar(labels: np.ndarray, probabilities: np.ndarray, others: np.ndarray) -> dict:
    """Test whether two models are right equally often: McNemar's exact test.

    Of the images that one model alone gets right, each should have half (McNemar, Psychometrika
    12:153-157, 1947; two-sided binomial test). It takes images as independent, which photographs of
    one lesion are not: with several of a lesion p is too small, and the paired bootstrap decides.

    Returns
    -------
    dict
        `only_model_right`, `only_other_right`, `p` (1.0 where no image tells them apart).
    """
    right = [
        check_predictions(labels, p)[1].argmax(axis=1) == labels for p in (probabilities, others)
    ]
    only = [int(np.sum(right[0] & ~right[1])), int(np.sum(~right[0] & right[1]))]
    p = float(binomtest(only[0], sum(only)).pvalue) if sum(only) else 1.0
    return {"only_model_right": only[0], "only_other_right": only[1], "p": p}


def _measured(labels, probabilities, weights, protocol):
    """Give the headline numbers, and those of all resamples."""
    bins = protocol.calibration_bins
    points = headline(labels, probabilities, calibration_bins=bins)

    def measure(some):
        return all_measures(labels, probabilities, some, calibration_bins=bins)[0]

    return points, over_resamples(measure, weights)
