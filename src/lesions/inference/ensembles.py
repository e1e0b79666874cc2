"""Ensembles: weighted means of the probabilities that several models assign to the same images."""

from collections.abc import Sequence

import numpy as np

MAX_STEPS, TOLERANCE = 10_000, 1e-9


def average(probabilities: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """Return the weighted mean of the models' probabilities, float64 `(n_images, n_classes)`.

    Parameters
    ----------
    probabilities
        Of each model, `(n_images, n_classes)`.
    weights
        Of each model; they sum to 1.
    """
    return np.tensordot(weights, np.asarray(probabilities, np.float64), axes=1)


def fit_weights(labels: np.ndarray, probabilities: Sequence[np.ndarray]) -> np.ndarray:
    """Return the weights with which the mean has the smallest cross-entropy, float64 `(n_models,)`.

    Weights are at least 0 and sum to 1. The cross-entropy of a weighted mean is convex in them, and
    these are the steps of expectation-maximisation for the weights of a mixture (Dempster, Laird,
    Rubin, J R Stat Soc B 39:1-38, 1977, section 4.3), from equal weights on.

    Parameters
    ----------
    labels
        Integers `(n_images,)`, of images that no model was trained on.
    probabilities
        Of each model, `(n_images, n_classes)`.

    Raises
    ------
    ValueError
        If there are no images.
    """
    if not len(labels):
        raise ValueError(
            "An ensemble with weights: validation needs validation images, and the study has none; "
            "change sets.study.split, or set the ensemble's weights: equal"
        )
    of_label = np.stack([p[np.arange(len(labels)), labels] for p in probabilities])
    of_label = of_label[:, of_label.max(axis=0) > 0]  # an image that no model can explain
    weights = np.full(len(probabilities), 1 / len(probabilities))
    for _ in range(MAX_STEPS if of_label.size else 0):
        shares = weights[:, None] * of_label
        new = (shares / shares.sum(axis=0)).mean(axis=1)
        if np.abs(new - weights).max() < TOLERANCE:
            return new
        weights = new
    return weights
