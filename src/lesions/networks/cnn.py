"""The paper's small network: pairs of convolutions, trained from pixels."""

from collections.abc import Sequence

import numpy as np

from lesions.networks.backend import keras
from lesions.networks.layers import dense_layers, pixel_input, rescale


def build(
    inputs: np.ndarray,
    n_classes: int,
    *,
    input_pixels: int,
    filters: Sequence[int],
    dense_units: Sequence[int],
    dropout: float,
    batch_norm_momentum: float,
) -> keras.Model:
    """Return a network of two 3 × 3 convolutions for each of `filters`, and dense layers.

    Every convolution is followed by batch normalisation, every pair by 2 × 2 max-pooling.

    Parameters
    ----------
    inputs
        Has the shape of the images, `(0, image_pixels, image_pixels, 3)`, and no pixels.
    n_classes
        Number of probabilities.
    input_pixels
        Height and width that the network sees.
    batch_norm_momentum
        Share of the running mean and variance that a step keeps. At Keras' 0.99 they follow the
        weights some hundred steps behind: with few steps per epoch, the first epochs predict one
        class for all images.
    """
    pixels, values = pixel_input(inputs.shape[1], input_pixels)
    values = rescale(values)
    for width in filters:
        for _ in range(2):
            values = keras.layers.Conv2D(width, 3, padding="same", activation="relu")(values)
            values = keras.layers.BatchNormalization(momentum=batch_norm_momentum)(values)
        values = keras.layers.MaxPooling2D()(values)
    values = keras.layers.Flatten()(values)
    values = dense_layers(values, n_classes, dense_units=dense_units, dropout=dropout)
    return keras.Model(pixels, values, name="cnn")
