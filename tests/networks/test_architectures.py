"""Architectures trained from nothing; the pretrained ones have files of their own."""

import sys
import types

import numpy as np
import pytest
from made_up_training import training_settings

from lesions import networks
from lesions.networks import cnn, dense, load_build, residual
from lesions.networks.backend import keras
from lesions.networks.layers import rows_at_once
from lesions.training.loop import train

CNN = {"dense_units": [128, 64], "dropout": 0.3, "batch_norm_momentum": 0.9}


def photographs(n=3, pixels=32):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (n, pixels, pixels, 3)).astype(np.float32)


def kinds(network):
    return [kind(layer) for layer in network.layers]


def kind(layer):
    return type(layer).__name__


# Found by name


def test_architectures_are_found_by_name():
    assert load_build("cnn") is cnn.build


def test_an_unknown_architecture_is_refused_with_the_file_to_write():
    message = r"'vgg17' needs the file src/lesions/networks/vgg17\.py: No module named"
    with pytest.raises(ValueError, match=message):
        load_build("vgg17")


def test_a_file_that_imports_what_is_not_installed_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("import not_installed\n", encoding="utf-8")
    monkeypatch.setattr(networks, "__path__", [*networks.__path__, str(tmp_path)])
    with pytest.raises(ModuleNotFoundError, match="No module named 'not_installed'"):
        load_build("mine")


def test_a_file_without_the_function_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "lesions.networks.half", types.ModuleType("half"))
    with pytest.raises(ValueError, match=r"networks/half\.py must define build\(\); see lesions"):
        load_build("half")


def test_a_backbone_of_what_has_none_is_refused():
    with pytest.raises(ValueError, match=r"networks/cnn\.py must define build_backbone\(\); see"):
        load_build("cnn", function="build_backbone")


def test_arguments_that_are_no_settings_are_refused_by_name():
    settings = ["input_pixels", "filters", "dense_units", "dropout", "momentum"]
    message = "only one of the two has batch_norm_momentum, momentum"
    with pytest.raises(ValueError, match=message):
        load_build("cnn", settings)


# The CNN


def test_the_cnn_is_built_as_the_paper_says():
    # Pairs of convolutions, each followed by batch normalisation, each pair by pooling; dropout
    # before each dense ReLU layer; softmax over the classes.
    network = cnn.build(photographs(), 7, input_pixels=32, filters=[32, 64, 128], **CNN)
    pair = ["Conv2D", "BatchNormalization"] * 2 + ["MaxPooling2D"]
    layers = ["Dropout", "Dense"] * 2 + ["Dense"]
    assert kinds(network) == ["InputLayer", "Rescaling", *pair * 3, "Flatten", *layers]

    by_kind = {kind: [x for x in network.layers if type(x).__name__ == kind] for kind in pair}
    convolutions = by_kind["Conv2D"]
    assert [layer.filters for layer in convolutions] == [32, 32, 64, 64, 128, 128]
    assert {layer.kernel_size for layer in convolutions} == {(3, 3)}
    assert {layer.activation.__name__ for layer in convolutions} == {"relu"}
    assert {layer.momentum for layer in by_kind["BatchNormalization"]} == {0.9}
    assert [tuple(layer.output.shape[1:3]) for layer in by_kind["MaxPooling2D"]] == [
        (16, 16),
        (8, 8),
        (4, 4),
    ]
    *hidden, last = [layer for layer in network.layers if type(layer).__name__ == "Dense"]
    assert [(layer.units, layer.activation.__name__) for layer in hidden] == [
        (128, "relu"),
        (64, "relu"),
    ]
    assert (last.units, last.activation.__name__) == (7, "softmax")
    assert {x.rate for x in network.layers if type(x).__name__ == "Dropout"} == {0.3}


def test_the_cnn_sees_pixels_divided_by_255():
    network = cnn.build(photographs(), 7, input_pixels=32, filters=[2], **CNN)
    seen = keras.Model(network.input, network.get_layer("rescale").output)
    np.testing.assert_allclose(seen(photographs()), photographs() / 255, rtol=1e-6)


def test_any_number_of_classes_is_predicted():
    network = cnn.build(photographs(), 3, input_pixels=32, filters=[2], **CNN)
    probabilities = network(photographs())
    assert probabilities.shape == (3, 3)
    np.testing.assert_allclose(np.sum(probabilities, axis=1), 1, rtol=1e-5)


def test_larger_images_are_reduced_with_antialiasing():
    network = cnn.build(photographs(pixels=64), 7, input_pixels=32, filters=[2], **CNN)
    assert network.input_shape == (None, 64, 64, 3)
    seen = keras.Model(network.input, network.get_layer("reduce").output)
    # Columns of 0 and 255 in turn: two neighbouring pixels at a time would alias, a mean does not.
    stripes = np.tile(np.float32([0, 255]), 32)[None, None, :, None]
    stripes = np.broadcast_to(stripes, (1, 64, 64, 3)).copy()
    reduced = np.asarray(seen(stripes))
    assert reduced.shape == (1, 32, 32, 3)
    np.testing.assert_allclose(reduced[:, 2:-2, 2:-2], 127.5, atol=1)


def test_images_are_never_enlarged():
    with pytest.raises(
        ValueError, match=r"must be at most 32, the size of the stored .*; it is 64"
    ):
        cnn.build(photographs(), 7, input_pixels=64, filters=[2], **CNN)


# The residual network


def build_residual(pixels=32, **changes):
    settings = {"input_pixels": pixels, "filters": [4, 8], "blocks": 2, "dropout": 0.3}
    return residual.build(photographs(pixels=pixels), 7, **settings | changes)


def test_the_residual_network_is_built_as_the_paper_says():
    # He et al. 2016, figure 4 (e) and section 3: before each convolution batch normalisation and
    # ReLU; after the last block once more; nothing after an addition.
    network = build_residual()
    # A convolution of the pixels, two blocks of two convolutions in each of two stages, and a
    # 1 × 1 convolution as the shortcut where the second stage begins.
    convolutions = [layer for layer in network.layers if kind(layer) == "Conv2D"]
    assert len(convolutions) == 1 + 2 * 2 * 2 + 1
    assert [layer.filters for layer in convolutions].count(8) == 5
    (shortcut,) = [layer for layer in convolutions if layer.kernel_size == (1, 1)]
    assert shortcut.strides == (1, 1)  # after a pooling that takes every second pixel
    assert not any(layer.use_bias for layer in convolutions)
    before = [kind(layer.input._keras_history.operation) for layer in convolutions]
    assert sorted(before) == ["MaxPooling2D", *["ReLU"] * 8, "Rescaling"]
    pixels = photographs(1, 16)
    pooling = next(layer for layer in network.layers if kind(layer) == "MaxPooling2D")
    np.testing.assert_array_equal(pooling(pixels), pixels[:, ::2, ::2])
    kinds_found = kinds(network)
    assert (kinds_found.count("Add"), kinds_found.count("BatchNormalization")) == (4, 2 * 4 + 1)
    end = ["Add", "BatchNormalization", "ReLU", "GlobalAveragePooling2D", "Dropout", "Dense"]
    assert kinds_found[-6:] == end
    maps = [tuple(x.output.shape[1:]) for x in network.layers if kind(x) == "Add"]
    assert maps == [(32, 32, 4)] * 2 + [(16, 16, 8)] * 2


def test_a_residual_block_without_its_convolutions_is_the_identity():
    network = build_residual(filters=[4], blocks=3)
    first, *others = [layer for layer in network.layers if kind(layer) == "Conv2D"]
    for layer in others:
        layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    last = [layer for layer in network.layers if kind(layer) == "Add"][-1]
    maps = keras.Model(network.input, [first.output, last.output])(photographs())
    np.testing.assert_array_equal(*maps)


@pytest.mark.parametrize("pixels", [28, 33])
def test_a_residual_network_learns_at_any_size(pixels, tmp_path):
    # At 28 px with so few channels, a strided 1 × 1 convolution would crash TensorFlow 2.21.
    keras.utils.set_random_seed(1)
    network = build_residual(pixels, filters=[4, 8, 8], blocks=1, dropout=0.0)
    losses = []
    train(
        network,
        photographs(7, pixels).__getitem__,
        np.arange(7),
        validation=None,
        seed=1,
        checkpoint=tmp_path / "checkpoint.npz",
        on_epoch=lambda history: losses.append(history["loss"].iloc[-1]),
        **training_settings(learning_rate=0.01, batch_size=7, epochs=40),
    )
    assert losses[-1] < losses[0] / 2


def test_the_residual_network_sees_pixels_divided_by_255():
    network = build_residual()
    seen = keras.Model(network.input, network.get_layer("rescale").output)
    np.testing.assert_allclose(seen(photographs()), photographs() / 255, rtol=1e-6)


# Dense layers on features


def shown(features):
    """Return the network's first layers: the features as its dense layers see them."""
    settings = {"standardize_features": True, "dense_units": [4], "dropout": 0.1}
    network = dense.build(features, 7, **settings)
    return keras.Model(network.input, network.get_layer("standardize").output)


def test_dense_layers_read_features_as_they_are_unless_told_otherwise():
    features = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    settings = {"dense_units": [4], "dropout": 0.1}
    network = dense.build(features, 7, standardize_features=False, **settings)
    assert kinds(network) == ["InputLayer", "Dropout", "Dense", "Dense"]
    assert network.output_shape == (None, 7)


def test_standardized_features_have_mean_0_and_variance_1():
    features = np.random.default_rng(0).normal([5, -3], [2, 0.1], (500, 2)).astype(np.float32)
    network = shown(features)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    np.testing.assert_allclose(network(features), (features - mean) / deviation, atol=1e-4)
    # What it has measured does not change with what it is shown later.
    np.testing.assert_allclose(network(np.zeros((1, 2))), [-mean / deviation], rtol=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6, -3e-6])
def test_constant_features_keep_their_scale(value):
    features = np.full((1000, 1), value, np.float32)
    network = shown(features)
    np.testing.assert_allclose(network(features), np.zeros((1000, 1)), atol=1e-6)
    other = features[:1] + np.float32(2)
    np.testing.assert_allclose(network(other), other - features[:1], atol=1e-6)


def test_features_that_are_constant_but_for_rounding_keep_their_scale():
    # Neighbouring float32 numbers near 1000 are 6e-5 apart: 6e-8 of the mean.
    features = np.full((1000, 1), 1000, np.float32)
    features[::2] = np.nextafter(np.float32(1000), np.float32(2000))
    network = shown(features)
    np.testing.assert_allclose(network(np.full((1, 1), 1001, np.float32)), [[1]], atol=1e-3)


@pytest.mark.parametrize(
    ("shape", "n_rows"),
    [((8,), 256), ((128, 128, 3), 256), ((256, 256, 3), 64), ((4096, 4096, 3), 1)],
)
def test_fewer_rows_of_large_images_are_given_at_once(shape, n_rows):
    inputs = keras.Input(shape)
    assert rows_at_once(keras.Model(inputs, inputs)) == n_rows
