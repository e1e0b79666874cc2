"""A small residual network to be trained from random weights, on images of 28 to 64 pixels."""

from collections.abc import Sequence

import numpy as np

from lesions.networks.backend import keras
from lesions.networks.layers import dense_layers, pixel_input, rescale

# Of batch normalisation: at Keras' 0.99 the statistics lag behind in a short training.
MOMENTUM = 0.9


def build(
    inputs: np.ndarray,
    n_classes: int,
    *,
    input_pixels: int,
    filters: Sequence[int],
    blocks: int,
    dropout: float,
) -> keras.Model:
    """Return a residual network with pre-activation (He et al., ECCV 2016, "Identity mappings").

    Every stage but the first halves the image. Where a block changes the number of channels or
    halves the image, a 1 × 1 convolution of its first activation is the shortcut.

    Parameters
    ----------
    inputs
        Has the shape of the images, `(0, image_pixels, image_pixels, 3)`, and no pixels.
    n_classes
        Number of probabilities.
    input_pixels
        Height and width that the network sees.
    filters
        Channels of each stage.
    blocks
        Blocks of two 3 × 3 convolutions in each stage.
    dropout
        Share of the averaged features, before the softmax layer.
    """
    pixels, values = pixel_input(inputs.shape[1], input_pixels)
    values = _convolve(rescale(values), filters[0])
    for stage, width in enumerate(filters):
        for block in range(blocks):
            strides = 2 if stage > 0 and block == 0 else 1
            values = _add_block(values, width, strides)
    values = keras.layers.GlobalAveragePooling2D()(_activate(values))
    values = dense_layers(values, n_classes, dense_units=(), dropout=dropout)
    return keras.Model(pixels, values, name="residual")


def _add_block(values, width: int, strides: int):
    shortcut, activated = values, _activate(values)
    if strides > 1 or values.shape[-1] != width:
        # A 1 × 1 convolution of every second pixel. As one operation, with few channels, oneDNN in
        # TensorFlow 2.21 corrupts memory in its gradient.
        shortcut = keras.layers.MaxPooling2D(1, strides, "same")(activated)
        shortcut = _convolve(shortcut, width, kernel=1)
    values = _activate(_convolve(activated, width, strides=strides))
    return keras.layers.Add()([shortcut, _convolve(values, width)])


def _activate(values):
    values = keras.layers.BatchNormalization(momentum=MOMENTUM)(values)
    return keras.layers.ReLU()(values)


def _convolve(values, width: int, *, kernel: int = 3, strides: int = 1):
    layer = keras.layers.Conv2D(
        width, kernel, strides, "same", use_bias=False, kernel_initializer="he_normal"
    )
    return layer(values)
