"""Prediction sets: the diagnoses that a model does not exclude, with a nominal coverage.

Split conformal prediction (Vovk, Gammerman, Shafer, *Algorithmic Learning in a Random World*, 2005,
sections 2.2 and 4.5; PyPI `crepes`) turns probabilities into sets of diagnoses. The nonconformity
score of an image is 1 - p of its diagnosis. A diagnosis is in the set of a new image if its 1 - p
is at most a threshold: a quantile of the scores of the calibration images. If these and the new
image are exchangeable, the set contains the diagnosis with a probability of at least `coverage`:
over all images with the marginal threshold, among the images of each diagnosis with the
class-conditional ones (Mondrian conformal prediction; Sadinle, Lei, Wasserman, JASA 114:223-234,
2019). Images of one lesion are alike, so that the coverage is approximate if lesions have several.
It does not hold in another clinic.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from crepes import ConformalClassifier
from scipy.stats import beta, betabinom

from lesions.evaluation.predictions import check_predictions

DECIMALS = 9  # of a threshold
IMPOSSIBLE_SCORE = 2.0  # above 1, the largest score of an image


def fit_thresholds(
    labels: np.ndarray, probabilities: np.ndarray, *, codes: Sequence[str], coverage: float
) -> dict:
    """Return the largest 1 - p with which a diagnosis is in a prediction set.

    The images must have chosen neither weights, epoch nor temperature. `coverage` is the share of
    sets that should contain the diagnosis.

    Returns
    -------
    dict
        `coverage`; `n_images`; `threshold`, marginal; `classes`, dx to `n_images` and `threshold`.
        With too few images to exclude anything (1 / (n + 1) is not below 1 - coverage: up to 9
        images at 0.9), the threshold is 1.0: the diagnosis is in every set. If
        (1 - coverage) (n + 1) is an integer, the threshold is that of crepes, one rank above the
        smallest with this coverage: sets are slightly larger than necessary.
    """
    labels, probabilities = check_predictions(labels, probabilities)
    scores = 1 - probabilities[np.arange(len(labels)), labels]
    # The threshold is the largest of the candidates that crepes includes.
    candidates = np.append(scores, np.full(len(codes), IMPOSSIBLE_SCORE))
    bins = np.append(labels, range(len(codes)))
    options = {"confidence": coverage, "smoothing": False}
    marginal = ConformalClassifier().fit(scores).predict_set(candidates, **options)
    mondrian = ConformalClassifier().fit(scores, bins=labels)
    by_class = mondrian.predict_set(candidates, bins=bins, **options)
    return {
        "coverage": coverage,
        "n_images": len(labels),
        "threshold": _largest(candidates, marginal == 1),
        "classes": {
            dx: {
                "n_images": int(np.sum(labels == label)),
                "threshold": _largest(candidates, (by_class == 1) & (bins == label)),
            }
            for label, dx in enumerate(codes)
        },
    }


def is_covered(labels: np.ndarray, sets: np.ndarray) -> np.ndarray:
    """Return whether the set of each image, bool `(n_images, n_classes)`, has its diagnosis."""
    return sets[np.arange(len(labels)), labels]


def coverage_range(n_images: int, *, coverage: float) -> tuple[float, float]:
    """Return the 5 % and the 95 % quantile of the coverage with `n_images` calibration images.

    The nominal coverage is a mean over calibration samples. Given one sample, the share of new
    images that is covered has the Beta distribution with parameters k and n + 1 - k, if the
    threshold is the k-th smallest of n distinct scores (Vovk, ACML 2012, proposition 2a).
    """
    rank = _find_rank(n_images, coverage)
    if rank > n_images:
        return 1.0, 1.0
    low, high = beta.ppf([0.05, 0.95], rank, n_images + 1 - rank)
    return float(low), float(high)


def pooled_coverage_range(
    n_calibration: Sequence[int], n_images: Sequence[int], *, coverage: float, confidence: float
) -> tuple[float, float]:
    """Return the interval of the coverage of several folds' images together, if the sets are valid.

    Of n new images, the number that is covered has a beta-binomial distribution: its probability is
    that of `coverage_range`. Folds are taken as independent, and so are the images of a lesion; the
    interval is too narrow where they are not.

    Parameters
    ----------
    n_calibration, n_images
        Calibration images and scored images of each fold.
    confidence
        Lowest probability of the interval.
    """
    probabilities = np.ones(1)  # of 0, 1, … images that are covered
    for n_fitted, n_scored in zip(n_calibration, n_images, strict=True):
        rank = _find_rank(n_fitted, coverage)
        counts = np.arange(n_scored + 1)
        of_fold = (counts == n_scored).astype(float)
        if rank <= n_fitted:
            of_fold = betabinom.pmf(counts, n_scored, rank, n_fitted + 1 - rank)
        probabilities = np.convolve(probabilities, of_fold)
    tail = (1 - confidence) / 2
    low, high = np.searchsorted(np.cumsum(probabilities), [tail, 1 - tail]) / sum(n_images)
    return float(low), float(high)


def _find_rank(n_images: int, coverage: float) -> int:
    """Return k if the threshold of n images is the k-th smallest score; above n: there is none."""
    n_missed = int(np.ceil(np.round((1 - coverage) * (n_images + 1), DECIMALS)))
    return n_images + 2 - n_missed  # crepes includes a p-value that equals 1 - coverage


def describe_thresholds(conformal: Mapping) -> str:
    """Return in words where the thresholds come from, and which classes are in every set."""
    n_images = conformal["n_images"]
    text = f"thresholds from the {n_images} calibration images that did not fit the temperature"
    if conformal["threshold"] < 1:
        low, high = coverage_range(n_images, coverage=conformal["coverage"])
        text += (
            f"; with so many, the marginal coverage of new images like them is {low:.2f} to "
            f"{high:.2f} in 90 % of calibration samples"
        )
    unlimited = [dx for dx, row in conformal["classes"].items() if row["threshold"] >= 1]
    if unlimited:
        text += (
            "; diagnoses with too few calibration images are in every class-conditional set: "
            f"{', '.join(unlimited)}"
        )
    return text


def _largest(candidates, included):
    """Return the largest candidate that is included, at most 1.0."""
    return round(min(float(candidates[included].max()), 1.0), DECIMALS)
