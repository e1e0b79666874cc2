"""The architectures that models name; the frozen backbones are in test_backbones.py."""

import sys
import types

import numpy as np
import pytest

from lesions.networks import cnn, dense, load_build
from lesions.networks.backend import keras

CNN = {"dense_units": [128, 64], "dropout": 0.3, "batch_norm_momentum": 0.9}


def photographs(n=3, pixels=32):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (n, pixels, pixels, 3)).astype(np.float32)


def kinds(network):
    return [type(layer).__name__ for layer in network.layers]


# Found by name


def test_architectures_are_found_by_name():
    assert load_build("cnn") is cnn.build


def test_an_unknown_architecture_is_refused_with_the_file_to_write():
    message = r"'vgg17' needs the file src/lesions/networks/vgg17\.py: No module named"
    with pytest.raises(ValueError, match=message):
        load_build("vgg17")


def test_a_file_without_the_function_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "lesions.networks.half", types.ModuleType("half"))
    with pytest.raises(ValueError, match=r"networks/half\.py must define build\(\); see lesions"):
        load_build("half")


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
