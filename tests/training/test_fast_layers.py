import numpy as np
import pytest

from lesions.networks.backend import keras, tf
from lesions.networks.saving import save_network
from lesions.training.fast_layers import (
    FastDepthwiseConv2D,
    FusedBatchNormalization,
    copy_for_training,
)

PIXELS, N_CLASSES = 12, 3


def images(n=6, channels=3, pixels=PIXELS):
    rng = np.random.default_rng(0)
    return rng.normal(1, 2, (n, pixels, pixels, channels)).astype(np.float32)


def build(*layers, pixels=PIXELS):
    keras.utils.clear_session()
    keras.utils.set_random_seed(2)
    inner = keras.Sequential([keras.Input((pixels, pixels, 3)), *layers], name="inner")
    inputs = keras.Input((pixels, pixels, 3))
    values = keras.layers.GlobalAveragePooling2D()(inner(inputs))
    return keras.Model(inputs, keras.layers.Dense(N_CLASSES, activation="softmax")(values))


def list_layers(network, kind):
    return [layer for layer in network.get_layer("inner").layers if type(layer) is kind]


def compute(network, *, training):
    """Give outputs, gradients of all that is trained and of the inputs, and the weights after."""
    inputs = tf.constant(images(pixels=network.input_shape[1]))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = network(inputs, training=training)
        loss = tf.reduce_sum(outputs[:, 0] ** 2)
    gradients = tape.gradient(loss, [inputs, *network.trainable_variables])
    return [outputs.numpy(), *(g.numpy() for g in gradients), *network.get_weights()]


def assert_alike(found, expected):
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("settings", [{}, {"scale": False}, {"center": False, "momentum": 0.6}])
def test_fused_batch_normalisation_is_that_of_keras(training, settings):
    network = build(keras.layers.Conv2D(5, 3), keras.layers.BatchNormalization(**settings))
    copy = copy_for_training(network, "float32")
    assert len(list_layers(copy, FusedBatchNormalization)) == 1
    assert_alike(compute(copy, training=training), compute(network, training=training))


def test_frozen_batch_normalisation_keeps_its_moments():
    network = build(keras.layers.Conv2D(5, 3), keras.layers.BatchNormalization())
    network.get_layer("inner").layers[-1].trainable = False
    copy = copy_for_training(network, "float32")
    assert list_layers(copy, FusedBatchNormalization)[0].trainable is False
    assert_alike(compute(copy, training=True), compute(network, training=True))


@pytest.mark.parametrize("multiplier", [1, 2])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("kernel", [5, 7, (2, 4)])
def test_the_gradients_of_wide_depthwise_filters_are_those_of_keras(
    kernel, strides, padding, multiplier
):
    depthwise = keras.layers.DepthwiseConv2D(
        kernel, strides, padding, depth_multiplier=multiplier, activation="relu"
    )
    network = build(depthwise)
    copy = copy_for_training(network, "float32")
    assert len(list_layers(copy, FastDepthwiseConv2D)) == 1
    assert_alike(compute(copy, training=True), compute(network, training=True))


@pytest.mark.parametrize("pixels", [1, 2, 3])
@pytest.mark.parametrize("kernel", [5, 7, 9])
def test_the_gradients_are_those_of_keras_where_the_filter_is_wider_than_the_image(kernel, pixels):
    network = build(keras.layers.DepthwiseConv2D(kernel, padding="same"), pixels=pixels)
    copy = copy_for_training(network, "float32")
    assert len(list_layers(copy, FastDepthwiseConv2D)) == 1
    assert_alike(compute(copy, training=True), compute(network, training=True))


def test_what_has_nothing_to_gain_stays_as_it_is():
    layers = [keras.layers.DepthwiseConv2D(3), keras.layers.DepthwiseConv2D(5, dilation_rate=2)]
    network = build(*layers)
    assert copy_for_training(network, "float32") is network


def test_a_network_is_saved_as_it_was_after_a_copy_was_made(tmp_path):
    network = build(keras.layers.Conv2D(5, 3), keras.layers.BatchNormalization())
    save_network(network, tmp_path / "before.keras")
    copy_for_training(network, "float32")
    save_network(network, tmp_path / "after.keras")
    assert (tmp_path / "after.keras").read_bytes() == (tmp_path / "before.keras").read_bytes()


def test_mixed_precision_computes_in_bfloat16_and_ends_in_float32():
    network = build(keras.layers.Conv2D(5, 3), keras.layers.BatchNormalization())
    copy = copy_for_training(network, "mixed_bfloat16")
    inner = copy.get_layer("inner").layers
    assert [layer.compute_dtype for layer in inner] == ["bfloat16"] * 2
    assert {variable.dtype for variable in copy.variables} == {"float32"}
    probabilities = copy(images(), training=False)
    assert probabilities.dtype == "float32"
    np.testing.assert_allclose(probabilities, network(images(), training=False), atol=0.02)
    assert network.layers[-1].compute_dtype == network.dtype == "float32"
