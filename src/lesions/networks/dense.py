"""Dense layers on the features of a frozen backbone."""

from collections.abc import Sequence

import numpy as np

from lesions.networks.backend import keras
from lesions.networks.layers import dense_layers, standardize


def build(
    inputs: np.ndarray,
    n_classes: int,
    *,
    standardize_features: bool,
    dense_units: Sequence[int],
    dropout: float,
) -> keras.Model:
    """Return dense ReLU layers and softmax on features.

    Parameters
    ----------
    inputs
        Features of the training rows, `(n, n_features)`; may be a memory map.
    n_classes
        Number of probabilities.
    standardize_features
        Bring features to mean 0 and variance 1, as in `inputs`, first.
    """
    features = keras.Input(inputs.shape[1:], name="features")
    values = standardize(features, inputs) if standardize_features else features
    values = dense_layers(values, n_classes, dense_units=dense_units, dropout=dropout)
    return keras.Model(features, values, name="dense")
