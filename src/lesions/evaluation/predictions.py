"""Checks of labels and probabilities."""

import numpy as np

TOLERANCE = 1e-4  # of a row's sum; a hundred probabilities of six decimals are off by at most 5e-5


def check_predictions(
    labels: np.ndarray, probabilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return checked labels `(n_images,)` and probabilities, float64 `(n_images, n_classes)`.

    Raises
    ------
    ValueError
        If a shape is wrong, there is no image, a label is not the position of a column, or a row
        has a probability outside 0 to 1 or does not sum to 1; rows are counted from 0.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, dtype=float)
    if probabilities.ndim != 2 or probabilities.shape[1] < 2 or not len(probabilities):
        raise ValueError(
            f"Probabilities have the shape {probabilities.shape}; expected (n_images, n_classes) "
            "with at least one image and two classes"
        )
    if labels.shape != probabilities.shape[:1]:
        raise ValueError(
            f"Labels have the shape {labels.shape}; expected ({len(probabilities)},), one for each "
            "row of probabilities"
        )
    sums = probabilities.sum(axis=1)
    in_range = ((probabilities >= 0) & (probabilities <= 1)).all(axis=1)
    last = probabilities.shape[1] - 1
    is_class = np.isin(labels, range(last + 1))
    _check_rows(is_class, labels, f"label is not an integer from 0 to {last}")
    _check_rows(in_range, probabilities, "probability is not finite or not from 0 to 1")
    _check_rows(
        np.abs(sums - 1) <= TOLERANCE, sums, f"sum of probabilities is not 1 (within {TOLERANCE:g})"
    )
    return labels.astype(int), probabilities


def _check_rows(good, values, fault):
    """Raise ValueError for the first row that is not good."""
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(
            f"Row {row} of the predictions: {fault}: {values[row].tolist()} ({(~good).sum()} such "
            f"rows of {len(good)}); run the stage 'predict' again"
        )
