"""The paper's own small network: sets of two convolutions, all of it trained."""

from collections.abc import Sequence

from lesions.networks.parts import classifier, pixels, unit
from lesions.runtime import keras


def frozen(image_size: int, *, input_size: int, preprocessing: str) -> keras.Model:
    """Build the preprocessing alone: nothing else is frozen.

    Raises
    ------
    ValueError
        If `preprocessing` is not `unit`: only a backbone has one of its own.
    """
    if preprocessing != "unit":
        raise ValueError(f"architecture cnn must have preprocessing: unit; it is {preprocessing}")
    inputs, values = pixels(image_size, input_size)
    return keras.Model(inputs, unit(values), name="frozen")


def trainable(
    features_shape: Sequence[int],
    *,
    filters: Sequence[int],
    dense_units: Sequence[int],
    dropout: float,
    batch_norm_momentum: float,
) -> keras.Model:
    """Build a set of two 3 × 3 convolutions for each of `filters`, and dense layers.

    Every convolution is followed by batch normalisation, every set by 2 × 2 max-pooling.

    Parameters
    ----------
    batch_norm_momentum
        What is kept, at each step, of the running mean and variance that predictions use. At
        Keras' 0.99 they follow some hundred steps behind the weights: with few steps an epoch, the
        first epochs predict one class for all images.

    Raises
    ------
    ValueError
        If the image is too small for that many sets.
    """
    if min(features_shape[:2]) < 2 ** len(filters):
        raise ValueError(
            f"input_size must be at least {2 ** len(filters)} px for {len(filters)} sets of "
            f"convolutions, each of which halves it; it is {min(features_shape[:2])}"
        )
    inputs = keras.Input(features_shape, name="features")
    values = inputs
    for width in filters:
        for _ in range(2):
            values = keras.layers.Conv2D(width, 3, padding="same", activation="relu")(values)
            values = keras.layers.BatchNormalization(momentum=batch_norm_momentum)(values)
        values = keras.layers.MaxPooling2D()(values)
    values = keras.layers.Flatten()(values)
    return keras.Model(inputs, classifier(values, dense_units=dense_units, dropout=dropout))
