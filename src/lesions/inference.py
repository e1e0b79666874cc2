"""What a trained network says of photographs."""

import numpy as np
import pandas as pd

from lesions.runtime import keras
from lesions.taxonomy import PROBABILITIES


def predict_images(
    network: keras.Model, images: np.ndarray, *, batch_size: int = 128
) -> pd.DataFrame:
    """Give the probability of each diagnosis.

    Parameters
    ----------
    network
        From RGB pixels 0–255 to probabilities `(n, 7)`.
    images
        uint8 or float32 `(n_images, height, width, 3)`; may be a memory map.

    Returns
    -------
    DataFrame
        `p_akiec` … `p_vasc`, one row an image, each row summing to 1.
    """
    parts = [
        network.predict_on_batch(images[start : start + batch_size].astype(np.float32))
        for start in range(0, len(images), batch_size)
    ]
    probabilities = np.concatenate(parts) if parts else np.empty((0, len(PROBABILITIES)))
    return pd.DataFrame(probabilities, columns=PROBABILITIES)
