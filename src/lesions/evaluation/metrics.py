"""Measures of a classifier, for many weightings of the same images at once.

A bootstrap resample is a weight for each image: how often it was drawn. The point estimate is the
case in which all weights are 1. Sorting the images once and summing weights replaces thousands of
calls of scikit-learn; the tests check that both agree.

Here, `weights` are float64, 0 or more. The last axis of every result is the resample. What is
undefined, such as a ratio with denominator 0, is NaN.
"""

import numpy as np
from scipy.sparse import csr_array

from lesions.evaluation.predictions import check_predictions

AVERAGED_MEASURES = tuple(
    f"{measure}_{average}"
    for average in ("macro", "weighted")
    for measure in ("precision", "recall", "f1")
)
MEASURES = (
    "accuracy",
    "balanced_accuracy",
    *AVERAGED_MEASURES,
    "roc_auc_macro",
    "average_precision_macro",
    "cohen_kappa",
    "matthews",
    "brier",
    "calibration_error",
)
CLASS_MEASURES = ("sensitivity", "specificity", "ppv", "npv", "f1", "roc_auc", "average_precision")
SUMMARY_MEASURES = ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc_macro")


def compute_measures(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray, *, calibration_bins: int
) -> dict[str, np.ndarray]:
    """Return all measures of every resample.

    Returns
    -------
    dict of str to array
        `MEASURES`, each `(n_resamples,)`: those of `overall_measures`; `roc_auc_macro` and
        `average_precision_macro`, means over the classes with positive and negative images;
        `brier`, the mean of `brier_scores`; `calibration_error`, see `calibration_errors`.
        `CLASS_MEASURES`, each `(n_classes, n_resamples)`, one versus rest: those of
        `class_measures`; `roc_auc` and `average_precision` of `WeightedRocCurve`.

    Raises
    ------
    ValueError
        If labels or probabilities are invalid, see `check_predictions`.
    """
    labels, probabilities = check_predictions(labels, probabilities)
    n_classes = probabilities.shape[1]
    predicted = probabilities.argmax(axis=1)
    matrices = confusion_matrices(labels, predicted, weights, n_classes=n_classes)
    areas = np.full((2, n_classes, weights.shape[1]), np.nan)
    for label in range(n_classes):
        positive = labels == label
        if positive.any() and not positive.all():
            curve = WeightedRocCurve(positive, probabilities[:, label], weights)
            areas[:, label] = curve.roc_auc(), curve.average_precision()
    means = divide(np.nan_to_num(areas).sum(axis=1), np.isfinite(areas).sum(axis=1))
    errors = calibration_errors(labels, probabilities, weights, n_bins=calibration_bins)
    measured = {
        **overall_measures(matrices),
        **class_measures(matrices),
        "roc_auc": areas[0],
        "average_precision": areas[1],
        "roc_auc_macro": means[0],
        "average_precision_macro": means[1],
        "brier": weighted_means(brier_scores(labels, probabilities), weights),
        "calibration_error": errors,
    }
    return {name: measured[name] for name in (*MEASURES, *CLASS_MEASURES)}


def confusion_matrices(
    labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray, *, n_classes: int
) -> np.ndarray:
    """Return the confusion matrix of every resample, `(n_classes, n_classes, n_resamples)`.

    Rows are the labels.
    """
    sums = _sum_by_bin(labels * n_classes + predicted, weights, n_bins=n_classes**2)
    return sums.reshape(n_classes, n_classes, -1)


def class_measures(matrices: np.ndarray) -> dict[str, np.ndarray]:
    """Return the measures of each class that need only confusion matrices.

    Each is `(n_classes, n_resamples)`.
    """
    tp = np.einsum("iir->ir", matrices)
    fn = matrices.sum(axis=1) - tp
    fp = matrices.sum(axis=0) - tp
    tn = matrices.sum(axis=(0, 1)) - tp - fn - fp
    return {
        "sensitivity": divide(tp, tp + fn),
        "specificity": divide(tn, tn + fp),
        "ppv": divide(tp, tp + fp),
        "npv": divide(tn, tn + fn),
        "f1": divide(2 * tp, 2 * tp + fp + fn),
    }


def overall_measures(matrices: np.ndarray) -> dict[str, np.ndarray]:
    """Return the measures over all classes that need only confusion matrices, `(n_resamples,)`.

    Macro values are means over the classes that have images, weighted values are means weighted by
    the number of images. A class that is never predicted has precision 0. By definition,
    `balanced_accuracy` is `recall_macro` (Brodersen et al., ICPR 2010; the metric of the ISIC 2018
    challenge). `cohen_kappa` is unweighted (Cohen, Educ Psychol Meas 20:37-46, 1960), `matthews`
    multiclass (Gorodkin, Comput Biol Chem 28:367-374, 2004) and undefined if all labels or all
    predictions are one class.
    """
    n_actual, n_predicted = matrices.sum(axis=1), matrices.sum(axis=0)
    n_images, n_correct = matrices.sum(axis=(0, 1)), np.einsum("iir->r", matrices)
    classes = class_measures(matrices)
    found = {"accuracy": divide(n_correct, n_images)}
    for average, shares in (("macro", n_actual > 0), ("weighted", n_actual)):
        for name, of_class in (("precision", "ppv"), ("recall", "sensitivity"), ("f1", "f1")):
            sums = (np.nan_to_num(classes[of_class]) * shares).sum(axis=0)
            found[f"{name}_{average}"] = divide(sums, shares.sum(axis=0))
    found["balanced_accuracy"] = found["recall_macro"]
    by_chance = (n_actual * n_predicted).sum(axis=0)
    excess = n_images * n_correct - by_chance
    spread = [n_images**2 - np.square(counts).sum(axis=0) for counts in (n_actual, n_predicted)]
    found["cohen_kappa"] = divide(excess, n_images**2 - by_chance)
    found["matthews"] = divide(excess, np.sqrt(spread[0] * spread[1]))
    return found


def brier_scores(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the Brier score of each image, float64 `(n_images,)`, from 0 (best) to 2.

    It is the sum of (p - 1)² for the image's class and p² for every other (Brier, Mon Weather
    Rev 78:1-3, 1950).
    """
    return np.square(probabilities - np.eye(probabilities.shape[1])[labels]).sum(axis=1)


def calibration_errors(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray, *, n_bins: int
) -> np.ndarray:
    """Return the expected calibration error of the predicted class, `(n_resamples,)`, 0 to 1.

    It is the sum over bins of (share of images in the bin) · |accuracy - mean confidence|; see
    `confidence_bins` (Naeini, Cooper, Hauskrecht, AAAI 2015; Guo, Pleiss, Sun, Weinberger, ICML
    2017, eq. 3, with 15 bins). On few images it is above 0 even for a calibrated model.
    """
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = confidence_bins(confidence, n_bins=n_bins)
    gaps = _sum_by_bin(bins, weights, n_bins=n_bins, values=correct - confidence)
    return divide(np.abs(gaps).sum(axis=0), weights.sum(axis=0))


def confidence_bins(confidence: np.ndarray, *, n_bins: int) -> np.ndarray:
    """Return the bin of each probability, 0 to `n_bins` - 1; bin b is (b, b + 1] / n_bins."""
    return np.searchsorted(np.linspace(0, 1, n_bins + 1)[1:-1], confidence, side="left")


def weighted_means(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted means, `(n_resamples,)`, of one value per image, `(n_images,)`."""
    return divide(np.asarray(values, dtype=float) @ weights, weights.sum(axis=0))


class WeightedRocCurve:
    """True and false positives at each threshold, summed by weight.

    Thresholds are the scores of the positive images: between two of them, only specificity
    changes. An image is predicted positive if its score is at least the threshold.

    Parameters
    ----------
    positive
        bool `(n_images,)`, at least one true and one false.
    scores
        `(n_images,)`, higher for images more likely to be positive.

    Attributes
    ----------
    true_positives, false_positives
        `(n_thresholds, n_resamples)`, from the highest threshold to the lowest.
    """

    def __init__(self, positive: np.ndarray, scores: np.ndarray, weights: np.ndarray):
        thresholds = np.unique(scores[positive])
        n_bins = len(thresholds)
        n_reached = np.searchsorted(thresholds, scores, side="right")
        # Index of the highest threshold that an image reaches, from the top; n_bins: none.
        first = n_bins - n_reached
        tied = ~positive & (thresholds[np.maximum(n_reached, 1) - 1] == scores)
        self._added = _sum_by_bin(first[positive], weights[positive], n_bins=n_bins)
        self._tied = _sum_by_bin(first[tied], weights[tied], n_bins=n_bins)
        negatives = _sum_by_bin(first[~positive], weights[~positive], n_bins=n_bins + 1)
        self.true_positives = np.cumsum(self._added, axis=0)
        self.false_positives = np.cumsum(negatives[:-1], axis=0)
        self.n_positive, self.n_negative = self.true_positives[-1], negatives.sum(axis=0)

    def roc_auc(self) -> np.ndarray:
        """Return the share of pairs in which the positive image has the higher score.

        Ties count half (Hanley, McNeil, Radiology 143:29-36, 1982).
        """
        true_negatives = self.n_negative - self.false_positives
        ordered = np.einsum("ir,ir->r", self._added, true_negatives + self._tied / 2)
        return divide(ordered, self.n_positive * self.n_negative)

    def average_precision(self) -> np.ndarray:
        """Return the sum over thresholds of precision times the step in sensitivity."""
        n_predicted = self.true_positives + self.false_positives
        precision = self.true_positives / np.maximum(n_predicted, 1e-12)
        return divide(np.einsum("ir,ir->r", self._added, precision), self.n_positive)

    def partial_auc(self, sensitivity: float) -> np.ndarray:
        """Return the area between the ROC curve and the line of this sensitivity.

        It is from 0 to 1 - `sensitivity`. A threshold above all others, and ties, count as in
        `roc_auc` (the ISIC 2024 challenge's score is the area above a sensitivity of 0.80).
        """
        reached = np.concatenate([np.zeros((1, self._added.shape[1])), self.true_positives])
        reached = divide(reached, self.n_positive)
        # Between two points of the curve, which is straight there, only what is above counts.
        low, high = np.maximum(reached[:-1], sensitivity), np.maximum(reached[1:], sensitivity)
        false = divide(self.false_positives, self.n_negative)
        before = divide(self.false_positives - self._tied, self.n_negative)
        step = reached[1:] - reached[:-1]
        slope = np.divide(false - before, step, out=np.zeros_like(step), where=step > 0)
        start = before + (low - reached[:-1]) * slope
        end = before + (high - reached[:-1]) * slope
        return ((1 - (start + end) / 2) * (high - low)).sum(axis=0)

    def sensitivity_at(self, specificity: float) -> np.ndarray:
        """Return the largest sensitivity of the thresholds with at least this specificity."""
        reached = divide(self.n_negative - self.false_positives, self.n_negative) >= specificity
        sensitivity = divide(self.true_positives, self.n_positive)
        return (reached * sensitivity).max(axis=0)

    def specificity_at(self, sensitivity: float) -> np.ndarray:
        """Return the largest specificity of the thresholds with at least this sensitivity."""
        reached = divide(self.true_positives, self.n_positive) >= sensitivity
        specificity = divide(self.n_negative - self.false_positives, self.n_negative)
        return (reached * specificity).max(axis=0)


def divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return the quotient, NaN where the denominator is 0."""
    numerator, denominator = np.broadcast_arrays(np.asarray(numerator, dtype=float), denominator)
    undefined = np.full(numerator.shape, np.nan)
    return np.divide(numerator, denominator, out=undefined, where=denominator != 0)


def _sum_by_bin(bins, weights, *, n_bins, values=None):
    """Return the sums of weights times `values` in each bin, `(n_bins, n_resamples)`."""
    values = np.ones(len(bins)) if values is None else values
    return csr_array((values, (bins, np.arange(len(bins)))), shape=(n_bins, len(bins))) @ weights
