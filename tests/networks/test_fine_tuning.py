"""Pretrained networks whose layers are trained: which of them, how they compute, and saving."""

import numpy as np
import pytest

from lesions.networks import load_build
from lesions.networks.backend import keras
from lesions.networks.layers import list_layers
from lesions.networks.pretrained import fine_tune, make_backbone
from lesions.networks.saving import load_network, save_network
from lesions.training.fast_layers import copy_for_training

OF_BACKBONE = {
    "weights": "random",
    "weights_sha256": None,
    "input_pixels": 32,
    "preprocessing": "imagenet",
    "pooling": "average",
}
SETTINGS = OF_BACKBONE | {"trainable": "all", "dense_units": [4], "dropout": 0.3}
NETWORKS = {
    "VGG16": ("applications", {"network": "VGG16"}),
    "MobileNetV3Small": ("applications", {"network": "MobileNetV3Small"}),
    "EfficientNetV2B0": ("applications", {"network": "EfficientNetV2B0"}),
    "DenseNet121": ("applications", {"network": "DenseNet121"}),
    "EfficientNet-Lite0": ("efficientnet_lite", {"version": 0}),
}


def photographs(n=3, pixels=32):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (n, pixels, pixels, 3)).astype(np.float32)


def build(name, **changes):
    architecture, own = NETWORKS[name]
    return load_build(architecture)(photographs(), 7, **SETTINGS | own | changes)


def trained(network):
    """Return the names of the backbone's layers whose weights are trained."""
    backbone = network.get_layer("backbone")
    return [layer.name for layer in list_layers(backbone) if layer.trainable_weights]


def is_norm(layer):
    return isinstance(layer, keras.layers.BatchNormalization)


def test_settings_of_a_fine_tuned_network_are_those_of_its_backbone_and_of_its_head():
    settings = set(SETTINGS | {"version": 0})
    load_build("efficientnet_lite", settings)
    message = r"only one of the two has network, version"
    with pytest.raises(ValueError, match=message):
        load_build("efficientnet_lite", settings - {"version"} | {"network"})


@pytest.mark.parametrize("name", NETWORKS)
def test_the_pretrained_part_is_one_nested_network_called_backbone(name, tmp_path):
    network = build(name, trainable="last_2")
    kinds = [(layer.name, isinstance(layer, keras.Model)) for layer in network.layers]
    assert [name for name, is_network in kinds if is_network] == ["backbone"]
    assert [type(x).__name__ for x in network.layers[2:]] == ["Dropout", "Dense", "Dense"]
    probabilities = np.asarray(network(photographs()))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)

    save_network(network, tmp_path / "a.keras")
    loaded = load_network(tmp_path / "a.keras")
    np.testing.assert_array_equal(loaded(photographs()), probabilities)
    assert trained(loaded) == trained(network)
    assert all(
        type(layer).__module__.startswith("keras.src.layers.") for layer in list_layers(loaded)
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_a_frozen_backbone_computes_the_same_in_training(name):
    network = build(name, trainable="head")
    assert trained(network) == []
    assert len(network.trainable_weights) == 4  # two dense layers, a kernel and a bias each
    backbone = network.get_layer("backbone")
    before = [np.asarray(weight) for weight in backbone.weights]
    in_training = backbone(photographs(), training=True)
    np.testing.assert_array_equal(in_training, backbone(photographs(), training=False))
    for weight, old in zip(backbone.weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)  # batch statistics included


def test_it_computes_what_the_frozen_backbone_with_the_same_weights_does():
    keras.utils.set_random_seed(1)
    network = build("MobileNetV3Small")
    keras.utils.set_random_seed(1)
    build_backbone = load_build("applications", function="build_backbone")
    frozen = build_backbone(32, network="MobileNetV3Small", **OF_BACKBONE)
    assert not frozen.trainable_weights
    np.testing.assert_array_equal(
        network.get_layer("backbone")(photographs()), frozen(photographs())
    )


@pytest.mark.parametrize("name", ["MobileNetV3Small", "EfficientNet-Lite0"])
def test_all_layers_are_trained_and_follow_the_batches(name):
    network = build(name, trainable="all")
    backbone = network.get_layer("backbone")
    norms = [layer for layer in list_layers(backbone) if is_norm(layer)]
    assert norms
    assert {x.name for x in list_layers(backbone) if x.weights} == set(trained(network))
    network(photographs(), training=True)
    assert all(np.any(layer.moving_mean) for layer in norms[:1])  # no longer all zero


# The last three layers with weights, and batch normalisation after them, from the papers' figures:
# VGG16 ends with three convolutions. A block of MobileNetV3 and of EfficientNetV2 ends with
# squeeze-and-excitation and a projection, the network with a convolution. A block of DenseNet is
# BN, 1 × 1, BN, 3 × 3; its first BN is after the 3 × 3 convolutions of all blocks before.
LAST_3 = {
    "VGG16": ["block5_conv1", "block5_conv2", "block5_conv3"],
    "MobileNetV3Small": [
        "expanded_conv_10_squeeze_excite_conv_1",
        "expanded_conv_10_project", "expanded_conv_10_project_bn",
        "conv_1", "conv_1_bn",
    ],
    "EfficientNetV2B0": [
        "block6h_se_expand", "block6h_project_conv", "block6h_project_bn", "top_conv", "top_bn",
    ],
    "DenseNet121": [
        "conv5_block15_2_conv",
        "conv5_block16_0_bn", "conv5_block16_1_conv",
        "conv5_block16_1_bn", "conv5_block16_2_conv",
        "bn",
    ],
    "EfficientNet-Lite0": [
        "blocks_15_depthwise_conv", "blocks_15_bn1",
        "blocks_15_project_conv", "blocks_15_bn2",
        "conv_head", "bn1",
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_the_last_layers_are_trained_and_batch_normalisation_with_them(name):
    network = build(name, trainable="last_3")
    assert trained(network) == LAST_3[name]
    norms = [layer for layer in list_layers(network) if is_norm(layer) and not layer.trainable]
    network(photographs(), training=True)
    for layer in norms:
        np.testing.assert_array_equal(layer.moving_mean, np.zeros(layer.moving_mean.shape))


def test_batch_normalisation_of_another_branch_is_not_trained():
    """Of two branches of convolution and batch normalisation, one is the last."""

    def make_network(shape):
        inputs = keras.Input(shape)
        branches = [keras.layers.Conv2D(2, 1, name=f"conv_{name}")(inputs) for name in "ab"]
        pairs = zip("ab", branches, strict=True)
        norms = [keras.layers.BatchNormalization(name=f"bn_{x}")(branch) for x, branch in pairs]
        values = keras.layers.Add()(norms)
        return keras.Model(inputs, keras.layers.BatchNormalization(name="bn")(values))

    def build_backbone(pixels):
        return make_backbone(make_network, lambda x: x, pixels, input_pixels=pixels, pooling="max")

    head = {"trainable": "last_1", "dense_units": [], "dropout": 0.1}
    network = fine_tune(build_backbone, photographs(pixels=8), 7, **head)
    assert trained(network) == ["conv_b", "bn_b", "bn"]


def test_more_layers_than_there_are_cannot_be_trained():
    # VGG16 has 13 convolutions.
    assert len(trained(build("VGG16", trainable="last_13"))) == 13
    message = "last_14 is more than the 13 layers with weights that the backbone has"
    with pytest.raises(ValueError, match=message):
        build("VGG16", trainable="last_14")


def test_the_same_seed_gives_the_same_network():
    def draw(seed):
        keras.utils.set_random_seed(seed)
        return build("EfficientNet-Lite0").get_weights()

    first, again, other = draw(1), draw(1), draw(2)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.allclose(first[0], other[0])


@pytest.mark.parametrize(("dense_units", "n_dropouts"), [([], 1), ([4], 1), ([4, 4], 2)])
def test_dropout_is_before_each_dense_layer_or_before_the_output(dense_units, n_dropouts):
    network = build("MobileNetV3Small", dense_units=dense_units, dropout=0.9)
    kinds = [type(layer).__name__ for layer in network.layers[2:]]
    assert kinds == ["Dropout", "Dense"] * n_dropouts + ["Dense"] * bool(dense_units)
    assert {layer.rate for layer in network.layers[2:] if hasattr(layer, "rate")} == {0.9}


# MobileNetV3 and DenseNet121 have operations that are no layers: sums, and divisions of pixels.
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_copy_that_is_trained_computes_the_same(name, precision):
    keras.utils.set_random_seed(1)
    network = build(name)
    copy = copy_for_training(network, precision)
    assert (copy is network) == (name == "VGG16" and precision == "float32")
    assert copy.get_layer("backbone").output.dtype == precision.removeprefix("mixed_")
    assert copy.output.dtype == "float32"  # probabilities
    tolerance = 1e-5 if precision == "float32" else 0.03
    np.testing.assert_allclose(copy(photographs()), network(photographs()), atol=tolerance)
    for a, b in zip(copy.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert copy(photographs(), training=True).shape == (3, 7)
