"""Frozen networks of `keras.applications`, and where their weights come from."""

import functools
import hashlib
import http.server
import re
import sys
import threading

import h5py
import numpy as np
import pytest

from lesions.networks import applications, dense
from lesions.networks.applications import NETWORKS
from lesions.networks.backend import keras
from lesions.networks.layers import join
from lesions.networks.saving import load_network, save_network

IMAGENET_MEAN, IMAGENET_DEVIATION = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])


@pytest.fixture(autouse=True)
def own_keras_home(tmp_path, monkeypatch):
    """Keep what Keras downloads out of the user's own folder."""
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    return tmp_path


def photographs(n=3, pixels=32):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (n, pixels, pixels, 3)).astype(np.float32)


def build(network, *, pixels=32, **changes):
    settings = {
        "network": network,
        "weights": "random",
        "weights_sha256": None,
        "input_pixels": 32,
        "preprocessing": "unit",
        "pooling": "average",
    }
    return applications.build_backbone(pixels, **settings | changes)


# Widths as in the networks' papers; the last: its own preprocessing is inside the network.
WIDTHS = {"VGG16": 512, "ResNet50": 2048, "MobileNetV3Small": 576}


@pytest.mark.parametrize(("network", "width"), WIDTHS.items())
def test_a_backbone_is_frozen_and_is_saved_with_what_it_computes(network, width, tmp_path):
    backbone = build(network)
    assert backbone.trainable_weights == []
    assert len(backbone.weights) > 0
    assert backbone.output_shape == (None, width)
    save_network(backbone, tmp_path / "backbone.keras")
    loaded = load_network(tmp_path / "backbone.keras")
    np.testing.assert_array_equal(loaded(photographs()), backbone(photographs()))


def test_an_unknown_network_is_refused_with_the_names_that_there_are():
    message = f"keras.applications has no 'VGG17'; choose from {', '.join(NETWORKS)}"
    with pytest.raises(ValueError, match=re.escape(message)):
        build("VGG17")


@pytest.mark.parametrize(("network", "layer"), [("VGG16", "block5_conv3")])
def test_random_weights_follow_from_the_seed(network, layer):
    def draw(seed):
        keras.utils.set_random_seed(seed)
        inner = build(network).get_layer(network.lower())
        return inner.get_layer(layer).get_weights()[0]

    np.testing.assert_array_equal(draw(1), draw(1))
    assert not np.allclose(draw(1), draw(2))
    # As `keras.applications` alone draws them: nothing else takes of the seed's numbers before.
    keras.utils.set_random_seed(1)
    application = getattr(keras.applications, network)
    alone = application(weights=None, include_top=False, input_shape=(32, 32, 3))
    np.testing.assert_array_equal(draw(1), alone.get_layer(layer).get_weights()[0])


def test_the_joined_network_trains_only_the_dense_layers():
    backbone = build("VGG16")
    features = np.zeros((2, 512), np.float32)
    head = dense.build(features, 7, standardize_features=False, dense_units=[4], dropout=0.1)
    network = join(backbone, head)
    # A kernel and a bias for each of the layers 512 - 4 - 7.
    assert [tuple(weight.shape) for weight in network.trainable_weights] == [
        (512, 4),
        (4,),
        (4, 7),
        (7,),
    ]
    probabilities = network(photographs())
    np.testing.assert_allclose(probabilities, head(backbone(photographs())), rtol=1e-5)
    np.testing.assert_allclose(np.sum(probabilities, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("pooling", "pool"),
    [
        ("flatten", lambda maps: maps.reshape(len(maps), -1)),
        ("average", lambda maps: maps.mean(axis=(1, 2))),
        ("max", lambda maps: maps.max(axis=(1, 2))),
    ],
)
@pytest.mark.parametrize("preprocessing", ["unit", "imagenet"])
def test_features_are_keras_own_of_preprocessed_pixels(pooling, pool, preprocessing):
    settings = {"input_pixels": 64, "preprocessing": preprocessing, "pooling": pooling}
    backbone = build("VGG16", pixels=64, **settings)
    pixels = photographs(pixels=64)
    if preprocessing == "imagenet":
        prepared = keras.applications.vgg16.preprocess_input(pixels.copy())
    else:
        prepared = pixels / 255
    maps = keras.ops.convert_to_numpy(backbone.get_layer("vgg16")(prepared))
    assert maps.shape == (3, 2, 2, 512)  # five times halved
    np.testing.assert_allclose(backbone(pixels), pool(maps), rtol=1e-4, atol=1e-5)


def seen(network, monkeypatch, **settings):
    """Return what the convolutions of a network of one layer see of one colour, (10, 20, 30)."""
    module = sys.modules[getattr(keras.applications, network).__module__]

    def unchanged(*, weights, include_top, input_shape):
        inputs = keras.Input(input_shape)
        return keras.Model(inputs, keras.layers.Identity()(inputs))

    unchanged.__module__ = module.__name__
    monkeypatch.setattr(keras.applications, network, unchanged)
    backbone = build(network, pixels=1, input_pixels=1, pooling="flatten", **settings)
    return np.asarray(backbone(np.array([[[[10, 20, 30]]]], np.float32)))[0]


# VGG: Simonyan and Zisserman subtract ImageNet's mean colour; Caffe's channels are B, G, R.
# DenseNet: Torch's, less the mean and divided by the deviation of ImageNet's colours.
# MobileNetV2: from -1 to 1.
PREPROCESSED = {
    "VGG16": [30 - 103.939, 20 - 116.779, 10 - 123.68],
    "DenseNet121": [
        (10 / 255 - 0.485) / 0.229, (20 / 255 - 0.456) / 0.224, (30 / 255 - 0.406) / 0.225,
    ],
    "MobileNetV2": [10 / 127.5 - 1, 20 / 127.5 - 1, 30 / 127.5 - 1],
}  # fmt: skip


@pytest.mark.parametrize(("network", "colour"), PREPROCESSED.items())
def test_imagenet_preprocessing_is_the_networks_own(network, colour, monkeypatch):
    found = seen(network, monkeypatch, preprocessing="imagenet")
    np.testing.assert_allclose(found, colour, rtol=1e-5)


def input_of_first_convolution(backbone, pixels):
    """Return what the first convolution of a saved network sees, as the layers before it are."""
    (network,) = [layer for layer in backbone.layers if isinstance(layer, keras.Model)]
    first = next(x for x in network.layers if isinstance(x, keras.layers.Conv2D))
    before = keras.Model(network.input, first.input)
    is_outside = backbone.layers[1] is not network
    return np.asarray(before(backbone.layers[1](pixels) if is_outside else pixels))


@pytest.mark.parametrize(
    ("network", "own"),
    [
        ("MobileNetV3Small", lambda pixels: pixels / 127.5 - 1),
        ("EfficientNetV2B0", lambda pixels: (pixels / 255 - IMAGENET_MEAN) / IMAGENET_DEVIATION),
    ],
)
def test_preprocessing_inside_a_network_is_on_or_replaced(network, own):
    pixels = photographs()
    inner = build(network, preprocessing="imagenet")
    np.testing.assert_allclose(input_of_first_convolution(inner, pixels), own(pixels), atol=1e-5)
    unit = build(network, preprocessing="unit")
    np.testing.assert_allclose(input_of_first_convolution(unit, pixels), pixels / 255, atol=1e-6)


def test_preprocessing_that_cannot_be_switched_off_is_not_done_twice():
    message = "EfficientNetB0 preprocesses pixels inside the network, which cannot be switched off"
    with pytest.raises(ValueError, match=message):
        build("EfficientNetB0", preprocessing="unit")


def test_too_small_an_input_is_refused():
    message = r"VGG16 cannot be built at input_pixels = 16: .* least 32x32"
    with pytest.raises(ValueError, match=message):
        build("VGG16", input_pixels=16)


# Weights


def weights(path):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"weights": str(path), "weights_sha256": digest}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The weights of a random VGG16, and its features of the photographs."""
    backbone = build("VGG16")
    path = tmp_path_factory.mktemp("weights") / "vgg16.weights.h5"
    backbone.get_layer("vgg16").save_weights(path)
    return path, np.asarray(backbone(photographs()))


def test_weights_are_read_from_a_file(saved):
    path, features = saved
    np.testing.assert_array_equal(build("VGG16", **weights(path))(photographs()), features)
    assert not np.allclose(build("VGG16")(photographs()), features)


def test_a_weights_file_of_another_content_is_refused_with_its_digest(saved):
    digest = hashlib.sha256(saved[0].read_bytes()).hexdigest()
    message = f"has the SHA-256 {digest}, not weights_sha256 = {'0' * 64}; set weights_sha256"
    with pytest.raises(ValueError, match=message):
        build("VGG16", weights=str(saved[0]), weights_sha256="0" * 64)


def test_weights_are_read_from_the_older_format_that_keras_downloads(saved, tmp_path):
    path, features = saved
    network = keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
    network.load_weights(path)
    network.save(tmp_path / "notop.h5")
    backbone = build("VGG16", **weights(tmp_path / "notop.h5"))
    np.testing.assert_array_equal(backbone(photographs()), features)


def test_weights_of_another_network_are_refused(saved):
    message = r"vgg16\.weights\.h5 does not hold the weights of ResNet50 without its top"
    with pytest.raises(ValueError, match=message):
        build("ResNet50", **weights(saved[0]))


def test_a_file_of_some_of_the_weights_is_refused(tmp_path):
    application = keras.applications.VGG16(weights=None, include_top=False)
    first = keras.Model(application.inputs, application.get_layer("block4_pool").output)
    first.save_weights(tmp_path / "first.weights.h5")
    message = r"first\.weights\.h5 does not hold the weights of VGG16 without its top"
    with pytest.raises(ValueError, match=message):
        build("VGG16", **weights(tmp_path / "first.weights.h5"))


def test_a_file_without_weights_is_refused(tmp_path):
    (tmp_path / "a.weights.h5").write_bytes(b"no weights")
    with pytest.raises(ValueError, match=r"a\.weights\.h5 is not an HDF5 file, though its name e"):
        build("VGG16", **weights(tmp_path / "a.weights.h5"))


def test_a_damaged_weights_file_is_refused(tmp_path, saved):
    content = saved[0].read_bytes()
    (tmp_path / "a.weights.h5").write_bytes(content[: len(content) // 2])
    message = r"a\.weights\.h5 does not hold the weights of VGG16 without its top: .*; set w"
    with pytest.raises(ValueError, match=message):
        build("VGG16", **weights(tmp_path / "a.weights.h5"))


def test_weights_that_are_not_finite_are_refused(tmp_path):
    network = keras.applications.VGG16(weights=None, include_top=False)
    values = network.get_weights()
    values[3][0] = np.nan
    network.set_weights(values)
    network.save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(ValueError, match=r"a\.weights\.h5 has weights that are not finite; set w"):
        build("VGG16", **weights(tmp_path / "a.weights.h5"))


def test_a_missing_weights_file_is_refused(tmp_path):
    file = str(tmp_path / "b.weights.h5")
    with pytest.raises(ValueError, match=r"Weights file .*b\.weights\.h5 does not exist; correct"):
        build("VGG16", weights=file, weights_sha256="0" * 64)


def test_the_real_imagenet_weights_are_read(shared):
    path = shared("weights/vgg16_imagenet_notop.weights.h5")
    network = build("VGG16", **weights(path)).get_layer("vgg16")
    assert len(network.weights) == 26  # 13 convolutions, a kernel and a bias each
    with h5py.File(path) as file:
        first, last = (file[f"layers/{name}/vars/0"][:] for name in ("conv2d", "conv2d_12"))
    np.testing.assert_array_equal(network.weights[0], first)
    np.testing.assert_array_equal(network.weights[-2], last)


@pytest.fixture
def website(tmp_path, monkeypatch):
    """Let Keras download VGG16's weights from a server of ours; return the folder it serves."""
    folder = tmp_path / "website"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        origin = f"http://127.0.0.1:{server.server_port}/vgg16.h5"
        monkeypatch.setattr("keras.src.applications.vgg16.WEIGHTS_PATH_NO_TOP", origin)
        yield folder
        server.shutdown()
        thread.join()


def test_weights_that_cannot_be_downloaded_are_refused_with_a_way_out(website):
    message = (
        r"The ImageNet weights of VGG16 could not be downloaded \(URL fetch failure on .*: "
        r"404.*\)\. On a machine with internet access, run .* set weights to the path of that file"
    )
    with pytest.raises(ValueError, match=message):
        build("VGG16", weights="imagenet")


def test_a_download_of_something_else_is_refused(website, own_keras_home):
    page = "<html>Sign in to the hotel's network</html>"
    (website / "vgg16.h5").write_text(page, encoding="utf-8")
    message = r"could not be downloaded \(Incomplete or corrupted file detected"
    with pytest.raises(ValueError, match=message):
        build("VGG16", weights="imagenet")
    assert (own_keras_home / "models").is_dir()  # and nothing in the user's own
