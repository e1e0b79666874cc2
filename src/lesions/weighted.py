"""The measures of `lesions.metrics` for many weightings of the same images at once.

A resample with replacement is a weight for every image, how often it was drawn. Sorting the images
once and adding up weights replaces thousands of calls of scikit-learn; the tests hold both equal.

Everywhere, `labels` are integers 0 to 6, `(n_images,)`, `probabilities` `(n_images, 7)`, `weights`
float64 `(n_images, n_resamples)`, 0 or more; the last axis of every result is the resample. What is
not defined is NaN.
"""

import numpy as np
from scipy.sparse import csr_array

from lesions.metrics import brier_scores, confidence_bins
from lesions.taxonomy import N_CLASSES


def all_measures(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray, *, calibration_bins: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Give the measures of `lesions.metrics.headline` and those of `per_class`.

    Returns
    -------
    headline : dict of str to array
        `lesions.metrics.MEASURES`, each `(n_resamples,)`.
    classes : dict of str to array
        `lesions.metrics.CLASS_MEASURES`, each `(7, n_resamples)`.
    """
    headline, classes = from_confusions(confusions(labels, probabilities.argmax(axis=1), weights))
    for name in ("roc_auc", "average_precision"):
        classes[name] = np.full((N_CLASSES, weights.shape[1]), np.nan)
    for label in range(N_CLASSES):
        if 0 < np.sum(labels == label) < len(labels):
            curve = RankingCurve(labels == label, probabilities[:, label], weights)
            classes["roc_auc"][label] = curve.roc_auc()
            classes["average_precision"][label] = curve.average_precision()
    for name in ("roc_auc", "average_precision"):
        headline[f"{name}_macro"] = _mean_of_defined(classes[name])
    headline["brier"] = means(brier_scores(labels, probabilities), weights)
    headline["calibration_error"] = calibration_errors(
        labels, probabilities, weights, n_bins=calibration_bins
    )
    return headline, classes


def means(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Give the weighted means of one value an image, `(n_resamples,)`."""
    return ratio(np.asarray(values, dtype=float) @ weights, weights.sum(axis=0))


def confusions(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Add up the weights by diagnosis and prediction, `(7, 7, n_resamples)`."""
    sums = _sums(labels * N_CLASSES + predicted, N_CLASSES**2, weights)
    return sums.reshape(N_CLASSES, N_CLASSES, -1)


def from_confusions(
    matrices: np.ndarray,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Give what follows from confusion matrices alone, as `all_measures` does."""
    hits = np.einsum("iir->ir", matrices)
    truths, calls, total = matrices.sum(axis=1), matrices.sum(axis=0), matrices.sum(axis=(0, 1))
    neither = total - truths - calls + hits
    classes = {
        "sensitivity": ratio(hits, truths),
        "specificity": ratio(neither, total - truths),
        "ppv": ratio(hits, calls),
        "npv": ratio(neither, total - calls),
        "f1": ratio(2 * hits, truths + calls),
    }
    headline = {"accuracy": ratio(hits.sum(axis=0), total)}
    headline["balanced_accuracy"] = _mean_of_defined(classes["sensitivity"])
    parts = {"precision": classes["ppv"], "recall": classes["sensitivity"], "f1": classes["f1"]}
    for mean, shares in (("macro", truths > 0), ("weighted", truths)):
        for name, values in parts.items():
            summed = (np.nan_to_num(values) * shares).sum(axis=0)
            headline[f"{name}_{mean}"] = ratio(summed, shares.sum(axis=0))
    by_chance = (truths * calls).sum(axis=0)
    headline["cohen_kappa"] = ratio(total * hits.sum(axis=0) - by_chance, total**2 - by_chance)
    spread = [total**2 - np.square(counts).sum(axis=0) for counts in (truths, calls)]
    headline["matthews"] = ratio(
        total * hits.sum(axis=0) - by_chance, np.sqrt(spread[0] * spread[1])
    )
    return headline, classes


def calibration_errors(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray, *, n_bins: int
) -> np.ndarray:
    """Give the expected calibration errors, `(n_resamples,)`; see `lesions.metrics`."""
    top, hits = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    gaps = _sums(confidence_bins(top, n_bins=n_bins), n_bins, weights, values=hits - top)
    return ratio(np.abs(gaps).sum(axis=0), weights.sum(axis=0))


class RankingCurve:
    """Positives and negatives above each threshold, counted by weight, for one ranking of images.

    Only thresholds at the scores of positives matter: between two of them no sensitivity is gained
    and only specificity is lost. Images with equal scores pass a threshold together.

    Parameters
    ----------
    positive
        bool `(n_images,)`, of both kinds one at least.
    scores
        `(n_images,)`, higher for images that are more probably positive.
    weights
        As everywhere in this module.
    """

    def __init__(self, positive: np.ndarray, scores: np.ndarray, weights: np.ndarray):
        levels = np.unique(scores[positive])
        n_levels = len(levels)
        n_not_above = np.searchsorted(levels, scores, side="right")
        # The first threshold, counted from the highest, that the image passes; n_levels: none.
        first = n_levels - n_not_above
        tied = ~positive & (levels[np.maximum(n_not_above, 1) - 1] == scores)
        self.steps = _sums(first[positive], n_levels, weights[positive])
        self.hits = np.cumsum(self.steps, axis=0)
        alarms = _sums(first[~positive], n_levels + 1, weights[~positive])
        self.alarms = np.cumsum(alarms[:-1], axis=0)
        self.n_positive, self.n_negative = self.hits[-1], alarms.sum(axis=0)
        self.ties = _sums(first[tied], n_levels, weights[tied])

    def roc_auc(self) -> np.ndarray:
        """Give the shares of pairs in which the positive has the higher score, a tie counts half.

        This is the area under the ROC curve (Hanley, McNeil, Radiology 143:29-36, 1982).
        """
        in_order = np.einsum("ir,ir->r", self.steps, self.n_negative - self.alarms + self.ties / 2)
        return ratio(in_order, self.n_positive * self.n_negative)

    def average_precision(self) -> np.ndarray:
        """Give the sums over thresholds of precision times the step in sensitivity."""
        precision = self.hits / np.maximum(self.hits + self.alarms, 1e-12)
        return ratio(np.einsum("ir,ir->r", self.steps, precision), self.n_positive)

    def sensitivity_at(self, specificity: float) -> np.ndarray:
        """Give the largest sensitivity of the thresholds with such a specificity at least."""
        kept = ratio(self.n_negative - self.alarms, self.n_negative) >= specificity
        n_allowed = kept.sum(axis=0)
        hits = np.take_along_axis(self.hits, np.maximum(n_allowed, 1)[None] - 1, axis=0)[0]
        return ratio(np.where(n_allowed > 0, hits, 0), self.n_positive)

    def specificity_at(self, sensitivity: float) -> np.ndarray:
        """Give the largest specificity of the thresholds with such a sensitivity at least."""
        first = (ratio(self.hits, self.n_positive) >= sensitivity).argmax(axis=0)
        alarms = np.take_along_axis(self.alarms, first[None], axis=0)[0]
        return ratio(self.n_negative - alarms, self.n_negative)


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide, NaN where the denominator is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, dtype=float), whole)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole != 0)


def _sums(places, n_places, weights, values=None):
    """Add up the weights, times the images' values, at every place, `(n_places, n_resamples)`."""
    values = np.ones(len(places)) if values is None else values
    positions = (places, np.arange(len(places)))
    return csr_array((values, positions), shape=(n_places, len(places))) @ weights


def _mean_of_defined(values):
    """Give the mean over classes, leaving out what is NaN."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0).sum(axis=0), defined.sum(axis=0))
