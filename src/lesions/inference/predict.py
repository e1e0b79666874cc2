"""The probabilities that a trained network assigns to images."""

import numpy as np
import pandas as pd

from lesions.networks.backend import keras
from lesions.taxonomy import PROBABILITIES


def predict_images(
    network: keras.Model, images: np.ndarray, *, batch_size: int = 128
) -> pd.DataFrame:
    """Return the probability of each diagnosis for each image.

    Parameters
    ----------
    network
        From RGB pixels 0–255 to probabilities `(n, n_classes)`.
    images
        uint8 or float32 `(n_images, height, width, 3)`; may be a memory map.

    Returns
    -------
    DataFrame
        `p_akiec` … `p_vasc`, a row for each image; rows sum to 1.
    """
    batches = [
        network.predict_on_batch(images[start : start + batch_size].astype(np.float32))
        for start in range(0, len(images), batch_size)
    ]
    probabilities = np.concatenate(batches) if batches else np.empty((0, len(PROBABILITIES)))
    return pd.DataFrame(probabilities, columns=PROBABILITIES)
