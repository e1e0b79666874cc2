"""Layers that compute what Keras' own do, faster on a CPU; only training uses them.

Keras normalises a batch by a chain of operations, each of which reads and writes the whole array;
TensorFlow has one operation for all. oneDNN has fast code for the gradient of depthwise filters of
up to three columns; that of wider ones takes several times as long. `benchmarks/finetune.py`
measures what both save.
"""

from lesions.networks.backend import keras, tf
from lesions.networks.layers import list_layers

MAX_COLUMNS = 3  # of the depthwise filters whose gradient oneDNN computes fast


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation by one operation of TensorFlow."""

    def call(self, inputs, training=None, mask=None):
        """Return normalised inputs `(n, height, width, channels)`; update the moving moments."""
        n_channels = inputs.shape[-1]
        settings = {
            "scale": self.gamma if self.scale else tf.ones(n_channels),
            "offset": self.beta if self.center else tf.zeros(n_channels),
            "epsilon": self.epsilon,
        }
        normalize = tf.compat.v1.nn.fused_batch_norm
        if not (training and self.trainable):
            moments = {"mean": self.moving_mean, "variance": self.moving_variance}
            return normalize(inputs, **settings, **moments, is_training=False)[0]
        outputs, mean, variance = normalize(inputs, **settings, is_training=True)
        n_values = tf.cast(tf.size(inputs) // n_channels, tf.float32)
        variance *= (n_values - 1) / n_values  # TensorFlow divides by n - 1, Keras by n
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + value * (1 - self.momentum))
        return outputs


class FastDepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """A depthwise convolution whose filter gradient is computed a few columns at a time."""

    def call(self, inputs):
        """Return the convolution of `(n, height, width, channels)`."""
        stride, padding = self.strides[0], self.padding.upper()
        strides = (1, stride, stride, 1)

        @tf.custom_gradient
        def convolve(inputs, kernel):
            def gradient(upstream):
                of_inputs = tf.nn.depthwise_conv2d_backprop_input(
                    tf.shape(inputs), kernel, upstream, strides, padding
                )
                same = padding == "SAME"
                return of_inputs, _filter_gradient(inputs, kernel.shape, upstream, stride, same)

            return tf.nn.depthwise_conv2d(inputs, kernel, strides, padding), gradient

        outputs = convolve(inputs, tf.convert_to_tensor(self.kernel))
        outputs = outputs + self.bias if self.use_bias else outputs
        return self.activation(outputs)


def _filter_gradient(inputs, shape, upstream, stride: int, same: bool):
    """Return the gradient for a filter of `shape`, of at most `MAX_COLUMNS` columns at once."""
    n_rows, n_columns, *channels = shape
    _, height, width, _ = inputs.shape
    top, bottom = _padding(height, n_rows, stride) if same else (0, 0)
    left, _ = _padding(width, n_columns, stride) if same else (0, 0)
    parts = []
    for first in range(0, n_columns, MAX_COLUMNS):
        n = min(MAX_COLUMNS, n_columns - first)
        start = first - left  # the first column of the inputs that these filter columns meet
        end = start + (upstream.shape[2] - 1) * stride + n
        part = inputs[:, :, max(start, 0) : max(min(end, width), 0)]
        # A part of zeros alone is padded on one side by all of its width.
        sides = [min(max(outside, 0), end - start) for outside in (-start, end - width)]
        part = tf.pad(part, [[0, 0], [top, bottom], sides, [0, 0]])
        parts.append(
            tf.nn.depthwise_conv2d_backprop_filter(
                part, (n_rows, n, *channels), upstream, (1, stride, stride, 1), "VALID"
            )
        )
    return tf.concat(parts, axis=1)


def _padding(n_pixels: int, n_taps: int, stride: int) -> tuple[int, int]:
    """Return how many zeros padding `same` puts before and after."""
    n_outputs = -(-n_pixels // stride)
    total = max((n_outputs - 1) * stride + n_taps - n_pixels, 0)
    return total // 2, total - total // 2


def copy_for_training(network: keras.Model, precision: str) -> keras.Model:
    """Return a network that computes the same as `network`, faster; it shares some of its layers.

    Its weights have the same order, so that `set_weights` carries them back. A network that has
    nothing to gain is returned itself.

    Parameters
    ----------
    network
        Ends in probabilities.
    precision
        `float32`, or `mixed_bfloat16`: all layers but the last compute in bfloat16, where small
        probabilities would lose digits, and keep their weights in float32.
    """
    if precision == "float32" and not any(map(_find_substitute, list_layers(network))):
        return network
    last = network.layers[-1].name

    def clone(layer):
        if not isinstance(layer, keras.Layer):  # an operation, such as the division of pixels
            return layer
        substitute = _find_substitute(layer) if precision == "float32" else type(layer)
        if substitute is None or layer.name == last:
            return layer
        return substitute.from_config(layer.get_config() | {"dtype": precision})

    copy = keras.models.clone_model(network, clone_function=clone, recursive=True)
    copy.set_weights(network.get_weights())
    return copy


def _find_substitute(layer: keras.Layer) -> type[keras.Layer] | None:
    """Return the class that can stand for a layer, if one can."""
    if tf.config.list_physical_devices("GPU") or layer.compute_dtype != "float32":
        return None
    shape = (layer.get_build_config() or {}).get("input_shape", ())
    if type(layer) is keras.layers.BatchNormalization:
        possible = len(shape) == 4 and layer.axis in (3, -1)
        possible = possible and not (layer.renorm or layer.synchronized)
        return FusedBatchNormalization if possible else None
    if type(layer) is keras.layers.DepthwiseConv2D:
        possible = layer.kernel_size[1] > MAX_COLUMNS and layer.dilation_rate == (1, 1)
        possible = possible and None not in shape[1:]
        possible = possible and layer.strides[0] == layer.strides[1]
        return FastDepthwiseConv2D if possible else None
    return None
