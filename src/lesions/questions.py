"""Two questions of a clinic: whether an image shows melanoma, and whether it shows malignancy.

The score of a question is the sum of the probabilities of the diagnoses that it asks for. `labels`
and `probabilities` are as in `lesions.metrics`.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from lesions.bootstrap import estimates, over_resamples
from lesions.predictions import check_predictions
from lesions.taxonomy import LABELS
from lesions.weighted import RankingCurve

QUESTIONS = {"melanoma": ("mel",), "malignant": ("akiec", "bcc", "mel")}
# The largest sensitivity of the thresholds whose specificity is 0.90 or more; and so on.
SENSITIVITY_AT = {
    "sensitivity_at_90_specificity": 0.90,
    "sensitivity_at_95_specificity": 0.95,
}
SPECIFICITY_AT = {
    "specificity_at_90_sensitivity": 0.90,
    "specificity_at_95_sensitivity": 0.95,
}
QUESTION_MEASURES = ("roc_auc", "average_precision", *SENSITIVITY_AT, *SPECIFICITY_AT)
MIN_BEYOND = 5  # images that may lie beyond a threshold, for an interval of what it gives
ROUNDING = 1e-12  # 1 - a rate may fall short of what it stands for by the last bit


def ask_questions(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray, *, confidence: float
) -> dict[str, dict]:
    """Ask of each image whether it is melanoma, and whether it is malignant.

    Parameters
    ----------
    weights
        What `lesions.bootstrap.draw_weights` gives.
    confidence
        Of the intervals.

    Returns
    -------
    dict of str to dict
        `melanoma`, `malignant` to `positive` (codes), `n_positive`, `n_negative` and the
        `QUESTION_MEASURES` as estimates; see `question_points`. An operating point that leaves
        fewer than `MIN_BEYOND` images beyond it has no interval. They are `None` where images of
        only one kind are there.
    """
    labels, probabilities = check_predictions(labels, probabilities)
    answers = {}
    for question, codes in QUESTIONS.items():
        positive, scores = as_question(labels, probabilities, codes)
        counts = {"n_positive": int(positive.sum()), "n_negative": int((~positive).sum())}
        if all(counts.values()):
            resampled = over_resamples(_measure(positive, scores), weights)
            points = question_points(positive, scores)
            measured = estimates(points, resampled, confidence=confidence)
            for name in _hardly_chosen(**counts):
                measured[name] |= {"low": None, "high": None}
        else:
            nothing = {"value": None, "low": None, "high": None}
            measured = {name: dict(nothing) for name in QUESTION_MEASURES}
        answers[question] = {"positive": list(codes), **counts, **measured}
    return answers


def as_question(
    labels: np.ndarray, probabilities: np.ndarray, codes: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Give which images have one of the diagnoses, bool, and the sum of their probabilities.

    The sum is rounded to twelve decimals: in floating point, sums that should be equal are not.
    """
    chosen = [LABELS[dx] for dx in codes]
    return np.isin(labels, chosen), probabilities[:, chosen].sum(axis=1).round(12)


def question_points(positive: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Give the numbers of one question.

    Parameters
    ----------
    positive
        bool `(n_images,)`, of both kinds one at least.
    scores
        `(n_images,)`.

    Returns
    -------
    dict of str to float
        `roc_auc`; `average_precision`; `sensitivity_at_90_specificity`, the largest sensitivity of
        the thresholds whose specificity is 0.90 or more, and the same at 95;
        `specificity_at_90_sensitivity` and `specificity_at_95_sensitivity` likewise. The thresholds
        are chosen on these very images: on others they keep the rate only about.
    """
    false_positive_rate, sensitivity, _ = roc_curve(positive, scores, drop_intermediate=False)
    specificity = 1 - false_positive_rate
    points = {
        "roc_auc": roc_auc_score(positive, scores),
        "average_precision": average_precision_score(positive, scores),
    }
    for name, rate in SENSITIVITY_AT.items():
        points[name] = sensitivity[specificity >= rate - ROUNDING].max()
    for name, rate in SPECIFICITY_AT.items():
        points[name] = specificity[sensitivity >= rate - ROUNDING].max()
    return {name: float(value) for name, value in points.items()}


def _hardly_chosen(n_positive, n_negative):
    """Name what has no interval: its threshold is about the lowest, or highest, score of all.

    A resample's lowest score is never below the images' own, so that the interval could only lie on
    one side (Bickel, Freedman, Ann Stat 9:1196-1217, 1981).
    """

    def beyond(rate, n_images):
        return round((1 - rate) * n_images, 9)

    few = [name for name, rate in SENSITIVITY_AT.items() if beyond(rate, n_negative) < MIN_BEYOND]
    few += [name for name, rate in SPECIFICITY_AT.items() if beyond(rate, n_positive) < MIN_BEYOND]
    return few


def _measure(positive, scores):
    """Give the function that answers one question in many resamples."""

    def measure(weights):
        curve = RankingCurve(positive, scores, weights)
        return {
            "roc_auc": curve.roc_auc(),
            "average_precision": curve.average_precision(),
            **{name: curve.sensitivity_at(rate) for name, rate in SENSITIVITY_AT.items()},
            **{name: curve.specificity_at(rate) for name, rate in SPECIFICITY_AT.items()},
        }

    return measure
