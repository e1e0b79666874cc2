"""Where a model was sure of itself and wrong."""

import numpy as np
import pandas as pd

from lesions.predictions import check_predictions
from lesions.taxonomy import CODES


def confident_mistakes(test: pd.DataFrame, probabilities: np.ndarray, *, n: int) -> pd.DataFrame:
    """Give the mistakes that the model was surest of.

    Parameters
    ----------
    test
        `image_id` and `label`, one row an image.
    probabilities
        `(n_images, 7)`, rows as in `test`, raw or calibrated.
    n
        At most so many mistakes.

    Returns
    -------
    DataFrame
        `image_id`, `dx`, `predicted` (codes) and `probability`, that of what was predicted; from
        sure to unsure, equally sure ones by `image_id`. No row where there is no mistake.
    """
    labels, probabilities = check_predictions(test["label"], probabilities)
    predicted = probabilities.argmax(axis=1)
    codes = np.array(CODES)
    table = pd.DataFrame(
        {
            "image_id": test["image_id"].to_numpy(),
            "dx": codes[labels],
            "predicted": codes[predicted],
            "probability": probabilities.max(axis=1),
        }
    )
    wrong = table[labels != predicted]
    order = wrong.sort_values(["probability", "image_id"], ascending=[False, True])
    return order.head(n).reset_index(drop=True)


def describe_mistakes(test: pd.DataFrame, probabilities: np.ndarray, *, n: int) -> str:
    """Say how many of how many mistakes `confident_mistakes` gives; arguments as there."""
    labels, probabilities = check_predictions(test["label"], probabilities)
    n_wrong = int((probabilities.argmax(axis=1) != labels).sum())
    if not n_wrong:
        return f"no mistake among {len(labels):,} test images"
    wrong = f"{n_wrong:,} mistake{'s' if n_wrong > 1 else ''} among {len(labels):,} test images"
    return f"the {n} most confident of {wrong}" if n < n_wrong else wrong
