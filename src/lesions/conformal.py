"""Prediction sets: the diagnoses that a model cannot rule out, right in a stated share of images.

Split conformal prediction (Vovk, Gammerman, Shafer, *Algorithmic Learning in a Random World*, 2005,
sections 2.2 and 4.5; PyPI `crepes`) turns probabilities into sets of diagnoses. An image's score is
1 - p of its own diagnosis. A diagnosis belongs to the set of a new image iff its 1 - p is at most a
threshold, a quantile of the scores of images that were set aside. If those and the new image are
exchangeable, the set holds the diagnosis with at least the probability `coverage`: over all images
with the marginal threshold, and among the images of each diagnosis with the class-conditional ones
(Mondrian conformal prediction; Sadinle, Lei, Wasserman, JASA 114:223-234, 2019). Photographs of one
lesion are alike, so with several of a lesion it is approximate; it does not hold in another clinic.
"""

from collections.abc import Mapping

import numpy as np
from crepes import ConformalClassifier
from scipy.stats import beta

from lesions.predictions import check_predictions
from lesions.taxonomy import CODES, N_CLASSES

DECIMALS = 9  # of a threshold
TOLERANCE = 1e-9  # covers that rounding, and the last bits in which two computers differ
BEYOND = 2.0  # a score that no image has; 1 is the largest


def thresholds(labels: np.ndarray, probabilities: np.ndarray, *, coverage: float) -> dict:
    """Find the largest 1 - p that a prediction set takes in.

    Parameters
    ----------
    labels
        Integers 0 to 6, `(n_images,)`, of images that chose neither weights, epoch nor temperature.
    probabilities
        `(n_images, 7)`, rows sum to 1.
    coverage
        Share of sets that must hold the diagnosis, above 0 and below 1.

    Returns
    -------
    dict
        `coverage`; `n_images`; `threshold`, the marginal one; `classes`, `dx` to `n_images` and
        `threshold`. Where there are too few images to rule anything out (1 / (n + 1) is not below
        1 - coverage: up to 9 images at 0.9), the threshold is 1.0: in every set. Where
        (1 - coverage) (n + 1) is whole, it is crepes' threshold, one rank above the smallest that
        keeps the promise: sets are a little larger than they must be.

    Raises
    ------
    ValueError
        If `coverage` is out of range, or labels and probabilities are not sound.
    """
    labels, probabilities = check_predictions(labels, probabilities)
    if not 0 < coverage < 1:
        raise ValueError(
            f"coverage must lie between 0 and 1; found {coverage}; change calibrate.coverage"
        )
    scores = 1 - probabilities[np.arange(len(labels)), labels]
    classes = range(N_CLASSES)
    # The threshold is the largest of the candidates that crepes takes in.
    candidates = np.append(scores, np.full(N_CLASSES, BEYOND))
    bins = np.append(labels, classes)
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
            for label, dx in enumerate(CODES)
        },
    }


def sets(probabilities: np.ndarray, conformal: Mapping) -> dict[str, np.ndarray]:
    """Give the prediction set of every image, of both kinds.

    Parameters
    ----------
    probabilities
        `(n_images, 7)`, made as those that `thresholds` saw.
    conformal
        What `thresholds` gives.

    Returns
    -------
    dict of str to bool array
        `marginal` and `class_conditional`, each `(n_images, 7)`: is the diagnosis in the set? A set
        may be empty, where no diagnosis is probable enough.
    """
    scores = 1 - np.asarray(probabilities, dtype=float)
    limits = np.array([conformal["classes"][dx]["threshold"] for dx in CODES])
    return {
        "marginal": scores <= conformal["threshold"] + TOLERANCE,
        "class_conditional": scores <= limits + TOLERANCE,
    }


def covered(labels: np.ndarray, sets: np.ndarray) -> np.ndarray:
    """Say of every image whether its set holds its diagnosis, bool `(n_images,)`.

    The (weighted) mean is the coverage.

    Parameters
    ----------
    labels
        Integers 0 to 6, `(n_images,)`.
    sets
        One kind of `sets`, bool `(n_images, 7)`.

    Raises
    ------
    ValueError
        If the shapes do not match.
    """
    labels, sets = np.asarray(labels), np.asarray(sets)
    if sets.shape != (len(labels), N_CLASSES):
        raise ValueError(
            f"Prediction sets must be ({len(labels)}, {N_CLASSES}), a row for each label; "
            f"found {sets.shape}."
        )
    return sets[np.arange(len(labels)), labels]


def sizes(sets: np.ndarray) -> np.ndarray:
    """Give the number of diagnoses in every set, int `(n_images,)`, 0 to 7."""
    return np.asarray(sets).sum(axis=1)


def describe_sets(labels: np.ndarray, sets: np.ndarray) -> dict:
    """Give coverage and mean size of one kind of sets, over all images and class by class.

    Returns
    -------
    dict
        `all` and `classes`, `dx` to: `n_images`, `coverage`, `mean_set_size`, both `None` where a
        class has no image.
    """
    labels = np.asarray(labels)
    table = np.column_stack([covered(labels, sets), sizes(sets)]).astype(float)

    def summary(rows):
        means = table[rows].mean(axis=0).tolist() if rows.any() else [None, None]
        return {"n_images": int(rows.sum()), "coverage": means[0], "mean_set_size": means[1]}

    return {
        "all": summary(np.full(len(labels), True)),
        "classes": {dx: summary(labels == label) for label, dx in enumerate(CODES)},
    }


def likely_coverage(n_images: int, *, coverage: float) -> tuple[float, float]:
    """Give the range in which the coverage comes out for nine of ten sets of so many images.

    `coverage` is kept on average over the images that set a threshold. With those that one has, the
    share of new images that is covered is Beta distributed, parameters k and n + 1 - k, where the
    threshold is the k-th smallest of n scores, none equal (Vovk, ACML 2012, proposition 2a).
    """
    beyond = int(np.ceil(np.round((1 - coverage) * (n_images + 1), DECIMALS)))
    rank = n_images + 2 - beyond  # crepes takes in a p-value that equals 1 - coverage
    if rank > n_images:
        return 1.0, 1.0
    low, high = beta.ppf([0.05, 0.95], rank, n_images + 1 - rank)
    return float(low), float(high)


def describe_thresholds(conformal: Mapping) -> str:
    """Say where the thresholds are from, how well they hold, and which classes are always in."""
    n_images = conformal["n_images"]
    text = (
        f"thresholds from {n_images} images of the calibration part, those that did not fit the "
        f"temperature"
    )
    if conformal["threshold"] < 1:
        low, high = likely_coverage(n_images, coverage=conformal["coverage"])
        text += (
            f"; by the luck of these images, from {low:.2f} to {high:.2f} of new ones like them "
            f"are covered (90 % range, marginal)"
        )
    few = [dx for dx, row in conformal["classes"].items() if row["threshold"] >= 1]
    if few:
        text += (
            f"; too few images there, or none that can be ruled out, so in every class-conditional "
            f"set: {', '.join(few)}"
        )
    return text


def _largest(candidates: np.ndarray, taken: np.ndarray) -> float:
    """Give the largest of the candidates that were taken in, 1.0 at most."""
    return round(min(float(candidates[taken].max()), 1.0), DECIMALS)
