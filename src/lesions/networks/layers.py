"""Layers that architectures share: pixel input, frozen backbone, dense layers, probabilities."""

import hashlib
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from sklearn.preprocessing import StandardScaler

from lesions.networks.backend import keras

CHUNK_ROWS = 1024  # rows of features that are read at once


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
    """Return probabilities: dropout and a dense ReLU layer for each of `dense_units`, softmax."""
    for units in dense_units:
        values = keras.layers.Dropout(dropout)(values)
        values = keras.layers.Dense(units, activation="relu")(values)
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


def join(backbone: keras.Model, head: keras.Model) -> keras.Model:
    """Return the network of `head` on `backbone`; it shares the weights of both."""
    return keras.Model(backbone.input, head(backbone.output), name="lesions")


def frozen_backbone(
    application: Callable,
    own_preprocessing: Callable,
    image_pixels: int,
    *,
    weights: str,
    weights_sha256: str | None,
    input_pixels: int,
    preprocessing: str,
    pooling: str,
) -> keras.Model:
    """Return a network of `keras.applications` without its top, frozen, with pooling.

    Parameters
    ----------
    application
        Such as `keras.applications.VGG16`.
    own_preprocessing
        The `preprocess_input` that the network was trained with.
    image_pixels
        Height and width of the stored images.
    weights
        `imagenet` (downloaded), `random`, or the path of a `.h5` file.
    weights_sha256
        SHA-256 of that file.
    input_pixels
        Height and width that the network sees.
    preprocessing
        `imagenet`: `own_preprocessing`; `unit`: pixels divided by 255.
    pooling
        `flatten`, `average` or `max`.

    Raises
    ------
    ValueError
        If the images are too small, or the weights cannot be loaded.
    """
    inputs, values = pixel_input(image_pixels, input_pixels)
    values = own_preprocessing(values) if preprocessing == "imagenet" else rescale(values)
    shape = (input_pixels, input_pixels, 3)
    network = _load_application(application, shape, weights, weights_sha256)
    values = network(values, training=False)
    pool = {
        "flatten": keras.layers.Flatten,
        "average": keras.layers.GlobalAveragePooling2D,
        "max": keras.layers.GlobalMaxPooling2D,
    }[pooling]
    backbone = keras.Model(inputs, pool()(values), name="backbone")
    backbone.trainable = False
    return backbone


def _load_application(application, shape, weights, sha256) -> keras.Model:
    name = application.__name__
    try:
        network = application(weights=None, include_top=False, input_shape=shape)
    except ValueError as error:
        raise ValueError(f"{name} cannot be built at input_pixels = {shape[0]}: {error}") from error
    if weights == "random":
        return network
    if weights == "imagenet":
        try:
            return application(weights="imagenet", include_top=False, input_shape=shape)
        except Exception as error:  # Keras raises a bare Exception if a download fails
            raise ValueError(
                f"The ImageNet weights of {name} could not be downloaded ({error}). On a machine "
                f"with a network run keras.applications.{name}(include_top=False)"
                f".save_weights('{name}.weights.h5'), and set weights to the path of that file."
            ) from error
    _check_digest(Path(weights), sha256)
    try:
        with warnings.catch_warnings():
            # Keras would leave layers random that the file lacks, with this warning alone.
            warnings.filterwarnings("error", "Skipping nested container")
            network.load_weights(weights)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        raise ValueError(
            f"{weights} does not hold the weights of {name} without its top: {error}"
        ) from error
    return network


def _check_digest(file: Path, sha256: str | None) -> None:
    if not file.is_file():
        raise ValueError(f"Weights file {file} does not exist; correct the path")
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256:
        raise ValueError(
            f"{file} has the SHA-256 {found}, not weights_sha256 = {sha256}; set weights_sha256 to "
            "it if the file was changed on purpose"
        )
