"""The probabilities that a trained network assigns to images."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from tqdm import tqdm

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
    options = {"rows": rows, "metadata": metadata, "tta": tta, "batch_size": batch_size}
    probabilities = mean_over_views(network, images, **options)
    return pd.DataFrame(probabilities, columns=probability_columns(codes))


def mean_over_views(
    network: keras.Model,
    images: np.ndarray,
    *,
    rows: np.ndarray | None = None,
    metadata: np.ndarray | None = None,
    tta: str = "none",
    batch_size: int = 128,
) -> np.ndarray:
    """Return the network's outputs for each image, the mean over its views.

    The arguments are those of `predict_images`; the result is float64 `(n_rows, n_outputs)`.
    """
    rows = np.arange(len(images)) if rows is None else rows
    metadata = _check_metadata(network, metadata, len(rows))
    batch_size = min(batch_size, rows_at_once(network))
    outputs = np.empty((len(rows), *network.output_shape[1:]))
    for start in tqdm(range(0, len(rows), batch_size), desc="predict", unit="batch", disable=None):
        batch = slice(start, start + batch_size)
        pixels = images[rows[batch]].astype(np.float32)
        outputs[batch] = _predict_views(network, pixels, metadata[batch], tta)
    return outputs


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
