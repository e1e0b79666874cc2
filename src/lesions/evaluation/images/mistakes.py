"""The images that a model misclassified, in order of decreasing confidence."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lesions.evaluation.images.choice import select_images, why_not_scored
from lesions.evaluation.predictions import check_predictions
from lesions.probabilities import apply_calibration
from lesions.taxonomy import PARTITION_NAMES, class_codes, probability_columns

COLUMNS = ("image_id", "dx", "predicted", "probability")


def collect_mistakes(
    predictions: pd.DataFrame, calibration: Mapping, *, partition: str, n_shown: int
) -> tuple[pd.DataFrame, str, str]:
    """Return what the sheet of mistakes of a model on the study shows.

    Parameters
    ----------
    predictions
        `image_id`, `partition`, `label`, `p_<code>` of each class.
    partition
        Whose images are scored: `val` or `test`.
    n_shown
        At most.

    Returns
    -------
    mistakes : DataFrame
        The first rows of `rank_mistakes`; none if the study is not scored.
    words : str
        How many of how many mistakes these are.
    empty : str
        What to show instead if there are none.
    """
    reason = why_not_scored("study", predictions, partition=partition)
    if reason:
        return pd.DataFrame(columns=COLUMNS), "no mistakes are shown", reason
    rows, codes = select_images(predictions, partition=partition), class_codes(predictions)
    probabilities = apply_calibration(rows[probability_columns(codes)].to_numpy(), calibration)
    ranked = rank_mistakes(rows, probabilities, codes=codes)
    words = describe_mistakes(len(ranked), len(rows), n_shown=n_shown, partition=partition)
    empty = f"No {PARTITION_NAMES[partition]} image was misclassified."
    return ranked.head(n_shown), words, empty


def rank_mistakes(
    rows: pd.DataFrame, probabilities: np.ndarray, *, codes: Sequence[str]
) -> pd.DataFrame:
    """Return the misclassified images, those with the highest predicted probabilities first.

    Parameters
    ----------
    rows
        `image_id` and `label`, in the order of `probabilities`.
    codes
        The class of each column of `probabilities`.

    Returns
    -------
    DataFrame
        `image_id`, `dx`, `predicted` (dx) and `probability` of the predicted class, in descending
        order, then by `image_id`.
    """
    labels, probabilities = check_predictions(rows["label"], probabilities)
    predicted, names = probabilities.argmax(axis=1), np.array(codes)
    table = rows[["image_id"]].assign(
        dx=names[labels], predicted=names[predicted], probability=probabilities.max(axis=1)
    )
    return table[labels != predicted].sort_values(
        ["probability", "image_id"], ascending=[False, True], ignore_index=True
    )


def describe_mistakes(n_mistakes: int, n_images: int, *, n_shown: int, partition: str) -> str:
    """Return in words how many of how many mistakes are shown, and of which partition."""
    images = f"{n_images:,} {PARTITION_NAMES[partition]} images"
    if not n_mistakes:
        return f"no mistakes among {images}"
    wrong = f"{n_mistakes:,} mistake{'s' if n_mistakes > 1 else ''} among {images}"
    return f"the {n_shown} most confident of {wrong}" if n_shown < n_mistakes else wrong
