"""Layers that architectures share: pixel input, dense layers, probabilities; joined networks."""

import math
from collections.abc import Iterator, Sequence
from itertools import takewhile

import numpy as np
from sklearn.preprocessing import StandardScaler

from lesions.networks.backend import keras

CHUNK_ROWS = 1024  # rows of features that are read at once
# At most so many rows, and so many input values (256 images of 128 px), are read and handed to
# TensorFlow at once.
MAX_ROWS, MAX_VALUES = 256, 256 * 128 * 128 * 3
METADATA_UNITS = 32  # of the dense layer on metadata, whose outputs join the features of an image


def rows_at_once(network: keras.Model) -> int:
    """Return how many rows a network is given at once: `MAX_ROWS`, or fewer large images."""
    n_values = max(math.prod(values.shape[1:]) for values in network.inputs)
    return max(1, min(MAX_ROWS, MAX_VALUES // n_values))


def pixel_input(image_pixels: int, input_pixels: int):
    """Return an input of stored images, and the images at the size that the network sees.

    Parameters
    ----------
    image_pixels
        Height and width of the stored images.
    input_pixels
        Height and width that the network sees, at most `image_pixels`; smaller images are reduced
        with antialiasing.

    Returns
    -------
    inputs, values
        Keras tensors `(n, image_pixels, image_pixels, 3)` and `(n, input_pixels, input_pixels, 3)`.

    Raises
    ------
    ValueError
        If images would have to be enlarged.
    """
    if input_pixels > image_pixels:
        raise ValueError(
            f"input_pixels must be at most {image_pixels}, the size of the stored images "
            f"(resize.pixels); it is {input_pixels}"
        )
    # float32: resampled images have fractions, which uint8 would truncate.
    inputs = keras.Input((image_pixels, image_pixels, 3), dtype="float32", name="pixels")
    if input_pixels == image_pixels:
        return inputs, inputs
    resize = keras.layers.Resizing(input_pixels, input_pixels, antialias=True, name="reduce")
    # The layer's default, training=True, would be passed on to all layers after it.
    return inputs, resize(inputs, training=False)


def rescale(values):
    """Divide pixels 0–255 by 255."""
    return keras.layers.Rescaling(1 / 255, name="rescale")(values)


def dense_layers(values, n_classes: int, *, dense_units: Sequence[int], dropout: float):
    """Return probabilities: dropout and a dense ReLU layer for each of `dense_units`, softmax.

    Without `dense_units`, dropout comes before the softmax layer.
    """
    for units in dense_units:
        values = keras.layers.Dropout(dropout)(values)
        values = keras.layers.Dense(units, activation="relu")(values)
    if not dense_units:
        values = keras.layers.Dropout(dropout)(values)
    return keras.layers.Dense(n_classes, activation="softmax", name="probabilities")(values)


def standardize(values, features: np.ndarray):
    """Bring features to mean 0 and variance 1, as measured on `features` `(n, n_features)`.

    A feature of a random backbone that is constant but for rounding (its standard deviation at most
    a millionth of its mean) keeps its scale: stretching it would amplify noise. `features` may be a
    memory map; it is read in chunks.
    """
    scaler = StandardScaler()
    for start in range(0, len(features), CHUNK_ROWS):
        scaler.partial_fit(features[start : start + CHUNK_ROWS].astype(np.float64))
    mean, deviation = scaler.mean_, np.sqrt(scaler.var_)
    scale = np.where(deviation <= 1e-6 * np.abs(mean), 1, deviation)
    return keras.layers.Normalization(mean=mean, variance=scale**2, name="standardize")(values)


def list_layers(network: keras.Model) -> Iterator[keras.Layer]:
    """Yield the layers of a network, and of networks that are layers of it."""
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            yield from list_layers(layer)
        else:
            yield layer


def join(backbone: keras.Model, head: keras.Model) -> keras.Model:
    """Return the network of `head` on `backbone`; it shares the weights of both."""
    return keras.Model(backbone.input, head(backbone.output), name="lesions")


def add_metadata(network: keras.Model, n_values: int) -> keras.Model:
    """Return a network that also reads metadata, and shares the layers on pixels with `network`.

    A dense ReLU layer on the metadata is concatenated with the features of the image, on which the
    dense layers begin. These are made anew, with the same settings.

    Parameters
    ----------
    network
        From pixels to probabilities; ends in dense layers and dropout, such as `dense_layers`.
    n_values
        Of a row of metadata, as `lesions.networks.metadata.encode_metadata` returns it; 0: the
        network is returned as it is.

    Returns
    -------
    Model
        From `pixels` and `metadata`, a dict, to probabilities.

    Raises
    ------
    ValueError
        If the network does not end in dense layers.
    """
    if not n_values:
        return network
    ends = (keras.layers.Dense, keras.layers.Dropout)
    head = list(takewhile(lambda layer: isinstance(layer, ends), reversed(network.layers)))
    if not head:
        raise ValueError(
            f"The network {network.name} must end in dense layers, where metadata can join; it "
            f"ends in {type(network.layers[-1]).__name__}; end its build() in dense_layers()"
        )
    metadata = keras.Input((n_values,), dtype="float32", name="metadata")
    values = keras.layers.Dense(METADATA_UNITS, activation="relu", name="metadata_units")(metadata)
    values = keras.layers.Concatenate(name="features")([head[-1].input, values])
    for layer in reversed(head):
        values = type(layer).from_config(layer.get_config())(values)
    return keras.Model({"pixels": network.input, "metadata": metadata}, values, name=network.name)
