"""The probabilities that a trained network assigns to images."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lesions.inference.views import views
from lesions.networks.backend import keras
from lesions.taxonomy import probability_columns


def predict_images(
    network: keras.Model,
    images: np.ndarray,
    *,
    codes: Sequence[str],
    tta: str = "none",
    batch_size: int = 128,
) -> pd.DataFrame:
    """Return the probability of each diagnosis for each image.

    Parameters
    ----------
    network
        From RGB pixels 0–255 to probabilities `(n, n_classes)`.
    images
        uint8 or float32 `(n_images, height, width, 3)`; may be a memory map.
    codes
        Of the classes, in the order of the network's outputs.
    tta
        Test-time augmentation: the probabilities are the mean over the views of
        `lesions.inference.views.VIEWS`; `none`, those of the images as they are.

    Returns
    -------
    DataFrame
        `p_<code>` of each class, a row for each image; rows sum to 1.
    """
    batches = [
        _predict_views(network, images[start : start + batch_size].astype(np.float32), tta)
        for start in range(0, len(images), batch_size)
    ]
    probabilities = np.concatenate(batches) if batches else np.empty((0, len(codes)))
    return pd.DataFrame(probabilities, columns=probability_columns(codes))


def _predict_views(network, images, tta):
    """Return the mean over the views, float64."""
    probabilities = [network.predict_on_batch(view) for view in views(images, tta=tta)]
    return np.mean(probabilities, axis=0, dtype=np.float64)
