"""Predictions as the ISIC 2018 challenge takes them (task 3, lesion diagnosis)."""

import numpy as np
import pandas as pd

from lesions.predictions import check_predictions
from lesions.taxonomy import CODES

# The challenge's names, in the order of its files: https://challenge.isic-archive.com/data/#2018
COLUMNS = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")


def to_submission(
    image_ids: pd.Series, labels: np.ndarray, probabilities: np.ndarray
) -> pd.DataFrame:
    """Give the table of a submission; the challenge's own score is balanced accuracy.

    Parameters
    ----------
    image_ids
        Of every image, each once.
    labels, probabilities
        As in `lesions.metrics`; the labels are only checked.

    Returns
    -------
    DataFrame
        `image`, then `COLUMNS`, probabilities from 0 to 1 with six decimals.

    Raises
    ------
    ValueError
        If an image stands twice, or the predictions are not sound.
    """
    _, probabilities = check_predictions(labels, probabilities)
    ids = pd.Series(np.asarray(image_ids))
    if ids.duplicated().any():
        raise ValueError(
            f"A submission must have every image once; {ids[ids.duplicated()].iloc[0]} stands "
            "twice; run the stage 'predict' again."
        )
    table = pd.DataFrame(probabilities, columns=[dx.upper() for dx in CODES])[list(COLUMNS)]
    table.insert(0, "image", ids)
    return table.round(6)
