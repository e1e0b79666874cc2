"""Predictions in the format of the ISIC challenge that has the classes of the study."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

# By year, in the order of the challenge's files: https://challenge.isic-archive.com/data/
ISIC_CLASSES = {
    2018: ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"),
    2019: ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC"),
}


def isic_columns(codes: Sequence[str]) -> tuple[str, ...] | None:
    """Return the columns of the ISIC challenge that has these classes; None if there is none."""
    classes = {dx.upper() for dx in codes}
    return next((columns for columns in ISIC_CLASSES.values() if set(columns) == classes), None)


def isic_submission(
    image_ids: pd.Series, probabilities: np.ndarray, *, codes: Sequence[str]
) -> pd.DataFrame:
    """Return predictions in the format of the ISIC challenge with these classes.

    The challenge's own score is balanced accuracy. That of 2019 has a ninth class, `UNK` (none
    of the others), which no model here predicts: the table lacks its column.

    Returns
    -------
    DataFrame
        `image`, then `isic_columns`, probabilities rounded to six decimals.
    """
    table = pd.DataFrame(probabilities, columns=[dx.upper() for dx in codes])
    table = table[list(isic_columns(codes))]
    table.insert(0, "image", image_ids.to_numpy())
    return table.round(6)
