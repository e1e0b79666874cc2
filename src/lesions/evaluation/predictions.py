"""Tables of predictions: select, check and rank them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

TOLERANCE = 1e-4  # of a row's sum; a hundred probabilities of six decimals are off by at most 5e-5


def select_test(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the partition `test`; raise ValueError if there is none."""
    rows = predictions[predictions["partition"] == "test"]
    if rows.empty:
        raise ValueError(
            f"None of the {len(predictions)} rows of the predictions is in the partition 'test'; "
            "check the sizes in sets.study.split of params.yaml"
        )
    return rows.reset_index(drop=True)


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


def rank_mistakes(
    test: pd.DataFrame, probabilities: np.ndarray, *, codes: Sequence[str]
) -> pd.DataFrame:
    """Return the misclassified images, those with the highest predicted probabilities first.

    Parameters
    ----------
    test
        `image_id` and `label`; rows as in `probabilities`.
    codes
        The class of each column of `probabilities`.

    Returns
    -------
    DataFrame
        `image_id`, `dx`, `predicted` (dx) and `probability` of the predicted class, in descending
        order, then by `image_id`.
    """
    labels, probabilities = check_predictions(test["label"], probabilities)
    predicted, names = probabilities.argmax(axis=1), np.array(codes)
    table = test[["image_id"]].assign(
        dx=names[labels], predicted=names[predicted], probability=probabilities.max(axis=1)
    )
    return table[labels != predicted].sort_values(
        ["probability", "image_id"], ascending=[False, True], ignore_index=True
    )


def describe_mistakes(n_mistakes: int, n_images: int, *, n_shown: int) -> str:
    """Return in words how many of how many mistakes are shown."""
    if not n_mistakes:
        return f"no mistakes among {n_images:,} test images"
    wrong = f"{n_mistakes:,} mistake{'s' if n_mistakes > 1 else ''} among {n_images:,} test images"
    return f"the {n_shown} most confident of {wrong}" if n_shown < n_mistakes else wrong


def _check_rows(good, values, fault):
    """Raise ValueError for the first row that is not good."""
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(
            f"Row {row} of the predictions: {fault}: {values[row].tolist()} ({(~good).sum()} such "
            f"rows of {len(good)}); run the stage 'predict' again"
        )
