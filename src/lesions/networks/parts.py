"""What several architectures are put together from."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from sklearn.preprocessing import StandardScaler

from lesions.runtime import keras
from lesions.taxonomy import N_CLASSES

N_ROWS = 1024


def pixels(image_size: int, input_size: int):
    """Give the input `(n, image_size, image_size, 3)` and the same at `input_size`, bilinear."""
    inputs = keras.Input((image_size, image_size, 3), dtype="float32", name="pixels")
    if image_size == input_size:
        return inputs, inputs
    resize = keras.layers.Resizing(input_size, input_size, name="to_input_size")
    # Its own default, training=True, would reach all later layers where nobody says otherwise.
    return inputs, resize(inputs, training=False)


def unit(values):
    """Bring pixels 0–255 to 0–1, as the paper did."""
    return keras.layers.Rescaling(1 / 255, name="unit")(values)


def classifier(values, *, dense_units: Sequence[int], dropout: float):
    """Put dropout and a dense ReLU layer for each of `dense_units`, then softmax, on `values`."""
    for width in dense_units:
        values = keras.layers.Dropout(dropout)(values)
        values = keras.layers.Dense(width, activation="relu")(values)
    return keras.layers.Dense(N_CLASSES, activation="softmax", name="probabilities")(values)


def trainable_head(features_shape: Sequence[int], *, dense_units, dropout) -> keras.Model:
    """Build dense ReLU layers and softmax on features of `features_shape`."""
    features = keras.Input(features_shape, name="features")
    return keras.Model(features, classifier(features, dense_units=dense_units, dropout=dropout))


def standardised(head: keras.Model, features: np.ndarray) -> keras.Model:
    """Bring features `(n, n_features)` to mean 0 and variance 1, as measured, before `head`.

    A random backbone has features that are constant but for rounding (a standard deviation of at
    most a millionth of the mean); they keep their scale, since to widen them would blow up noise.
    Only `N_ROWS` of the features are read at a time, so they may be a memory map.
    """
    measured = StandardScaler()
    for start in range(0, len(features), N_ROWS):
        measured.partial_fit(features[start : start + N_ROWS].astype(np.float64))
    mean, deviation = measured.mean_, np.sqrt(measured.var_)
    scale = np.where(deviation <= 1e-6 * np.abs(mean), 1, deviation)
    inputs = keras.Input(features.shape[1:], name="features")
    normalisation = keras.layers.Normalization(mean=mean, variance=scale**2, name="standardise")
    return keras.Model(inputs, head(normalisation(inputs)))


def join(frozen: keras.Model, head: keras.Model) -> keras.Model:
    """Put `head` on `frozen`; both keep sharing their weights with the whole."""
    return keras.Model(frozen.input, head(frozen.output), name="lesions")


def frozen_backbone(
    application: Callable,
    own_preprocessing: Callable,
    image_size: int,
    *,
    input_size: int,
    preprocessing: str,
    backbone: dict,
) -> keras.Model:
    """Build preprocessing, a network of `keras.applications` without its top, and pooling.

    Parameters
    ----------
    application
        Such as `keras.applications.VGG16`.
    own_preprocessing
        The `preprocess_input` that the network was trained with.
    preprocessing
        `imagenet`: `own_preprocessing`; `unit`: pixels divided by 255.
    backbone
        `weights`: `imagenet` (downloaded), `random`, or the path of a `.h5`;
        `pooling`: `flatten`, `average` or `max`.

    Raises
    ------
    ValueError
        If the input is too small for it, or its weights cannot be had or do not fit.
    """
    inputs, values = pixels(image_size, input_size)
    values = own_preprocessing(values) if preprocessing == "imagenet" else unit(values)
    network = _with_weights(application, (input_size, input_size, 3), backbone["weights"])
    values = network(values, training=False)
    pool = {
        "flatten": keras.layers.Flatten,
        "average": keras.layers.GlobalAveragePooling2D,
        "max": keras.layers.GlobalMaxPooling2D,
    }[backbone["pooling"]]
    frozen = keras.Model(inputs, pool()(values), name="frozen")
    frozen.trainable = False
    return frozen


def _with_weights(application: Callable, shape: tuple, weights: str) -> keras.Model:
    """Build the network and bring its weights, or say how to."""
    name = application.__name__
    try:
        network = application(weights=None, include_top=False, input_shape=shape)
    except ValueError as error:
        raise ValueError(f"input_size must suit {name}; it is {shape[0]}; {error}") from error
    if weights == "random":
        return network
    if weights == "imagenet":
        try:
            return application(weights="imagenet", include_top=False, input_shape=shape)
        except Exception as error:  # nothing narrower: Keras raises it bare where a download fails
            raise ValueError(
                f"backbone.weights: imagenet needs the weights of {name}, and they could not be "
                f"downloaded; bring ~/.keras/models from a machine that has them, or there call "
                f"keras.applications.{name}(include_top=False).save_weights('{name}.weights.h5') "
                f"and set backbone.weights to that file's path; Keras says: {error}"
            ) from error
    if not Path(weights).is_file():
        raise ValueError(f"backbone.weights must be a file; {weights} is none; correct the path")
    try:
        with warnings.catch_warnings():
            # What the file lacks Keras would leave random, with no more than this warning.
            warnings.filterwarnings("error", "Skipping nested container")
            network.load_weights(weights)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        raise ValueError(
            f"backbone.weights must hold {name} without its top; {weights} does not: {error}"
        ) from error
    return network
