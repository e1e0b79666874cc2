"""Screening tasks: each malignant class against all others, and malignant against benign.

The score of an image is the sum of the probabilities of the task's positive diagnoses.
"""

from collections.abc import Collection, Sequence

import numpy as np

from lesions.evaluation.bootstrap import estimate_all, evaluate_resamples
from lesions.evaluation.intervals import NO_INTERVAL
from lesions.evaluation.metrics import WeightedRocCurve
from lesions.evaluation.predictions import check_predictions

# The largest sensitivity among the thresholds whose specificity is at least 0.80; and so on.
SENSITIVITY_AT = {f"sensitivity_at_{rate}_specificity": rate / 100 for rate in (80, 90, 95)}
SPECIFICITY_AT = {f"specificity_at_{rate}_sensitivity": rate / 100 for rate in (90, 95)}
# The score of the ISIC 2024 challenge: the area between the ROC curve and this sensitivity.
PARTIAL_AUC_ABOVE = 0.80
TASK_MEASURES = ("roc_auc", "partial_auc", "average_precision", *SENSITIVITY_AT, *SPECIFICITY_AT)
MIN_BEYOND = 5  # errors that an operating point's stated rate must allow to have an interval


def screening_tasks(codes: Sequence[str], malignant: Collection[str]) -> dict[str, list[str]]:
    """Return the positive diagnoses of each task.

    A task is a malignant code, or `malignant`: all of them, if there are several and a benign one.
    """
    positive = [dx for dx in codes if dx in malignant]
    tasks = {dx: [dx] for dx in positive}
    return tasks | {"malignant": positive} if 1 < len(positive) < len(codes) else tasks


def score_screening_tasks(
    labels: np.ndarray,
    probabilities: np.ndarray,
    weights: np.ndarray,
    *,
    codes: Sequence[str],
    malignant: Collection[str],
    confidence: float,
) -> dict[str, dict]:
    """Return `TASK_MEASURES` of each of the `screening_tasks`.

    Operating points are chosen on these same images: on others, their thresholds reach the stated
    rate only approximately.

    Returns
    -------
    dict of str to dict
        Task to `positive` (dx), `n_positive`, `n_negative` and, for `TASK_MEASURES`, estimates.
        Without positive or without negative images these are None. An operating point whose stated
        rate allows fewer than `MIN_BEYOND` false positives (or negatives) has no interval.
    """
    labels, probabilities = check_predictions(labels, probabilities)
    found = {}
    for task, diagnoses in screening_tasks(codes, malignant).items():
        columns = [codes.index(dx) for dx in diagnoses]
        positive, scores = binarize(labels, probabilities, columns)
        counts = {"n_positive": int(positive.sum()), "n_negative": int((~positive).sum())}
        measured = dict.fromkeys(TASK_MEASURES, np.array([np.nan]))
        if all(counts.values()):
            measured = evaluate_resamples(
                lambda chunk, p=positive, s=scores: task_measures(p, s, chunk), weights
            )
        estimates = estimate_all(measured, confidence=confidence)
        for name in _points_at_the_edge(**counts):
            estimates[name] |= NO_INTERVAL
        found[task] = {"positive": diagnoses, **counts, **estimates}
    return found


def binarize(
    labels: np.ndarray, probabilities: np.ndarray, columns: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return whether each image has one of the classes, and the sum of their probabilities.

    The sum is rounded to twelve decimals: floating-point sums that should be equal are not.
    """
    return np.isin(labels, columns), probabilities[:, columns].sum(axis=1).round(12)


def task_measures(
    positive: np.ndarray, scores: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Return `TASK_MEASURES`, each `(n_resamples,)`; arguments as in `WeightedRocCurve`."""
    curve = WeightedRocCurve(positive, scores, weights)
    return {
        "roc_auc": curve.roc_auc(),
        "partial_auc": curve.partial_auc(PARTIAL_AUC_ABOVE),
        "average_precision": curve.average_precision(),
        **{name: curve.sensitivity_at(rate) for name, rate in SENSITIVITY_AT.items()},
        **{name: curve.specificity_at(rate) for name, rate in SPECIFICITY_AT.items()},
    }


def _points_at_the_edge(n_positive, n_negative):
    """Name the operating points whose threshold is close to the lowest or highest score.

    The lowest score of a resample is never below that of the images, so that the interval would be
    one-sided (Bickel, Freedman, Ann Stat 9:1196-1217, 1981).
    """
    n_beyond = {
        **{name: (1 - rate) * n_negative for name, rate in SENSITIVITY_AT.items()},
        **{name: (1 - rate) * n_positive for name, rate in SPECIFICITY_AT.items()},
    }
    return [name for name, n_images in n_beyond.items() if round(n_images, 9) < MIN_BEYOND]
