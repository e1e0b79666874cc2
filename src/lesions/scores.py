"""All scores of some images with their intervals: those of the whole, those of every diagnosis.

The lesions are drawn again by `lesions.bootstrap`, which says what the intervals mean. With one or
two lesions in a class, which hardly differ from one resample to the next, an interval would be
false: that class has none, nor has any mean over classes.
"""

import numpy as np

from lesions.bootstrap import Protocol, draw_weights, estimates, over_resamples
from lesions.metrics import CLASS_MEASURES, MEASURES, headline, per_class
from lesions.weighted import all_measures

MIN_LESIONS = 3  # of every class that is there, for an interval of a mean over classes


def score_images(
    labels: np.ndarray,
    probabilities: np.ndarray,
    lesions: np.ndarray,
    protocol: Protocol,
    *,
    weights: np.ndarray | None = None,
) -> tuple[dict, dict]:
    """Give the headline numbers and those of the classes, as estimates.

    Parameters
    ----------
    labels, probabilities
        As in `lesions.metrics`.
    lesions
        The lesion of every image.
    protocol
        Resamples, confidence, bins, seed.
    weights
        What `draw_weights` gives, where it has been drawn already.

    Returns
    -------
    headline : dict
        `n_images`, `n_lesions`, then the estimates of `lesions.metrics.headline`.
    classes : dict
        `dx` to `n_images`, `n_lesions`, then the estimates of `lesions.metrics.per_class`.
    """
    if weights is None:
        weights = draw_weights(
            labels, lesions, n_resamples=protocol.n_resamples, seed=protocol.seed
        )
    resampled, by_class = _score_resamples(labels, probabilities, weights, protocol)
    points = headline(labels, probabilities, calibration_bins=protocol.calibration_bins)
    scores = {"n_images": len(labels), "n_lesions": len(np.unique(lesions))}
    scores |= estimates(points, resampled, confidence=protocol.confidence)
    if has_few_lesions(labels, lesions):
        _drop_intervals(scores, filter(is_mean_of_classes, MEASURES))
    classes = {}
    for label, (dx, row) in enumerate(per_class(labels, probabilities).items()):
        counts = {"n_images": row["n_images"], "n_lesions": _n_lesions(lesions, labels == label)}
        of_class = {name: values[label] for name, values in by_class.items()}
        classes[dx] = counts | estimates(row, of_class, confidence=protocol.confidence)
        if counts["n_lesions"] < MIN_LESIONS:
            _drop_intervals(classes[dx], CLASS_MEASURES)
    return scores, classes


def has_few_lesions(labels: np.ndarray, lesions: np.ndarray) -> bool:
    """Tell whether a class that is there has fewer than `MIN_LESIONS` lesions."""
    labels = np.asarray(labels)
    return any(_n_lesions(lesions, labels == label) < MIN_LESIONS for label in np.unique(labels))


def is_mean_of_classes(measure: str) -> bool:
    """Tell whether a measure counts every class alike, however few lesions it has."""
    return measure == "balanced_accuracy" or measure.endswith("_macro")


def _score_resamples(labels, probabilities, weights, protocol):
    """Give `MEASURES` and `CLASS_MEASURES` of all resamples, in their order."""
    bins = protocol.calibration_bins

    def measure(some):
        scores, classes = all_measures(labels, probabilities, some, calibration_bins=bins)
        return scores | {f"class {name}": values for name, values in classes.items()}

    resampled = over_resamples(measure, weights)
    by_class = {name: resampled[f"class {name}"] for name in CLASS_MEASURES}
    return {name: resampled[name] for name in MEASURES}, by_class


def _drop_intervals(scores, names):
    for name in names:
        scores[name] |= {"low": None, "high": None}


def _n_lesions(lesions, chosen):
    return len(np.unique(np.asarray(lesions)[chosen]))
