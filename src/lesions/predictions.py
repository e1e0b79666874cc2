"""What a model says of images: taking rows out, and refusing what can't be probabilities."""

import numpy as np
import pandas as pd

from lesions.taxonomy import CODES, N_CLASSES, PROBABILITIES

TOLERANCE = 1e-4  # of a row's sum; seven probabilities of six decimals are off by 3.5e-6 at most


def take_rows(predictions: pd.DataFrame, partition: str = "test") -> pd.DataFrame:
    """Give the rows of one partition of a predictions table.

    Parameters
    ----------
    predictions
        `partition`, `label` and `p_akiec` to `p_vasc`; one row an image.
    partition
        `val`, `cal` or `test`.

    Raises
    ------
    ValueError
        If a column is missing or the partition has no row.
    """
    missing = [name for name in ("partition", "label", *PROBABILITIES) if name not in predictions]
    if missing:
        raise ValueError(
            f"Predictions must have the columns partition, label, {', '.join(PROBABILITIES)}; "
            f"{', '.join(missing)} missing; run the stage 'predict' again."
        )
    rows = predictions[predictions["partition"] == partition]
    if rows.empty:
        raise ValueError(
            f"Predictions must have rows of the partition '{partition}'; found none among "
            f"{len(predictions)} rows; look at the sizes in params.yaml's section 'split'."
        )
    return rows.reset_index(drop=True)


def check_predictions(
    labels: np.ndarray, probabilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Give both as arrays, int and float64, after checking them.

    Raises
    ------
    ValueError
        If a shape is wrong, there is no image, a label is none of 0 to 6, or a row holds a
        probability outside 0 to 1 or does not sum to 1; rows are counted from 0.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, dtype=float)
    if probabilities.ndim != 2 or probabilities.shape[1] != N_CLASSES or not len(probabilities):
        raise ValueError(
            f"Probabilities must be (n_images, {N_CLASSES}), a column for each of "
            f"{', '.join(CODES)}, with an image at least; found {probabilities.shape}."
        )
    if labels.shape != probabilities.shape[:1]:
        raise ValueError(
            f"Labels must be ({len(probabilities)},), one for each row of probabilities; "
            f"found {labels.shape}."
        )
    sums = probabilities.sum(axis=1)
    _refuse(~np.isin(labels, range(N_CLASSES)), labels, "Labels must be integers from 0 to 6")
    _refuse(
        ~((probabilities >= 0) & (probabilities <= 1)).all(axis=1),
        probabilities,
        "Probabilities must be finite and from 0 to 1",
    )
    _refuse(
        ~(np.abs(sums - 1) <= TOLERANCE),
        sums,
        f"Probabilities must sum to 1 (within {TOLERANCE:g}) in every row",
    )
    return labels.astype(int), probabilities


def _refuse(bad, values, rule):
    """Stop at the first bad row and name it."""
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"{rule}; row {row} has {values[row].tolist()} ({bad.sum()} such rows of {len(bad)}); "
            "mend what wrote the predictions."
        )
