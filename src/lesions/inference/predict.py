"""The probabilities that a trained network assigns to images."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lesions.inference.views import views
from lesions.networks.backend import keras
from lesions.networks.layers import rows_at_once
from lesions.taxonomy import probability_columns


def find_pixels(network: keras.Model) -> int:
    """Return height and width of the images that a network reads."""
    return next(value.shape[1] for value in network.inputs if len(value.shape) == 4)


def predict_images(
    network: keras.Model,
    images: np.ndarray,
    *,
    codes: Sequence[str],
    rows: np.ndarray | None = None,
    metadata: np.ndarray | None = None,
    tta: str = "none",
    batch_size: int = 128,
) -> pd.DataFrame:
    """Return the probability of each diagnosis for each image.

    Parameters
    ----------
    network
        From RGB pixels 0–255, or from these and metadata, to probabilities `(n, n_classes)`.
    images
        uint8 or float32 `(n_images, height, width, 3)`; may be a memory map, or
        `lesions.imaging.photographs.Photographs`: a batch is read at a time.
    codes
        Of the classes, in the order of the network's outputs.
    rows
        Integers `(n_rows,)`: the images to predict; `None`: all.
    metadata
        float32 `(n_rows, n_values)`, as `lesions.networks.metadata.encode_metadata` returns them;
        `None`: nothing is known about any image. A network that reads pixels alone takes `None` or
        no values.
    tta
        Test-time augmentation: the probabilities are the mean over the views of
        `lesions.inference.views.VIEWS`; `none`, those of the images as they are.

    Returns
    -------
    DataFrame
        `p_<code>` of each class, a row for each of these images; rows sum to 1.

    Raises
    ------
    ValueError
        If there are not as many rows of metadata, or values in a row, as are needed.
    """
    rows = np.arange(len(images)) if rows is None else rows
    metadata = _check_metadata(network, metadata, len(rows))
    batch_size = min(batch_size, rows_at_once(network))
    batches = []
    for start in range(0, len(rows), batch_size):
        batch = slice(start, start + batch_size)
        pixels = images[rows[batch]].astype(np.float32)
        batches.append(_predict_views(network, pixels, metadata[batch], tta))
    probabilities = np.concatenate(batches) if batches else np.empty((0, len(codes)))
    return pd.DataFrame(probabilities, columns=probability_columns(codes))


def _check_metadata(network, metadata, n_images):
    """Return the metadata; zeros if there are none, which encode that nothing is known."""
    reads = len(network.inputs) > 1
    shape = (n_images, network.input["metadata"].shape[1] if reads else 0)
    if metadata is None:
        return np.zeros(shape, np.float32)
    if metadata.shape != shape:
        raise ValueError(
            f"The metadata are {metadata.shape[0]} rows of {metadata.shape[1]} values, and the "
            f"network reads {shape[1]} values for each of {n_images} images; encode the rows of "
            "these images with the network's own encoding (lesions.networks.saving.read_encoding)"
        )
    return metadata


def _predict_views(network, images, metadata, tta):
    """Return the mean over the views, float64."""
    probabilities = [
        network.predict_on_batch(
            {"pixels": view, "metadata": metadata} if metadata.shape[1] else view
        )
        for view in views(images, tta=tta)
    ]
    return np.mean(probabilities, axis=0, dtype=np.float64)
