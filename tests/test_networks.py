import functools
import http.server
import inspect
import sys
import threading
import types

import h5py
import numpy as np
import pytest

from lesions.networks import cnn, load_architecture, resnet50, vgg16
from lesions.networks.parts import frozen_backbone, join, standardised
from lesions.params.architectures import list_architectures, read_signature
from lesions.runtime import keras

RANDOM = {"weights": "random", "pooling": "average"}


@pytest.fixture(autouse=True)
def own_keras_home(tmp_path, monkeypatch):
    """Keep what Keras downloads out of the user's own folder."""
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    return tmp_path


def photographs(n=3, size=32):
    return np.random.default_rng(0).integers(0, 256, (n, size, size, 3)).astype(np.float32)


def kinds(network):
    return [type(layer).__name__ for layer in network.layers]


def freeze(architecture, *, size=32, preprocessing="unit", **changes):
    settings = {"input_size": 32, "preprocessing": preprocessing, "backbone": RANDOM}
    return architecture.frozen(size, **settings | changes)


# The CNN


def test_the_cnn_is_built_as_the_paper_says():
    # Sets of two convolutions, each followed by batch normalisation, each set by pooling; dropout
    # before each dense ReLU layer; softmax over the seven diagnoses.
    network = cnn.trainable(
        (32, 32, 3),
        filters=[32, 64, 128],
        dense_units=[128, 64],
        dropout=0.3,
        batch_norm_momentum=0.9,
    )
    one_set = ["Conv2D", "BatchNormalization"] * 2 + ["MaxPooling2D"]
    dense = ["Dropout", "Dense"] * 2 + ["Dense"]
    assert kinds(network) == ["InputLayer", *one_set * 3, "Flatten", *dense]

    by_kind = {kind: [x for x in network.layers if type(x).__name__ == kind] for kind in one_set}
    convolutions = by_kind["Conv2D"]
    assert [layer.filters for layer in convolutions] == [32, 32, 64, 64, 128, 128]
    assert {layer.kernel_size for layer in convolutions} == {(3, 3)}
    assert {layer.activation.__name__ for layer in convolutions} == {"relu"}
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


def test_the_cnns_frozen_part_is_the_division_by_255():
    frozen = cnn.frozen(32, input_size=32, preprocessing="unit")
    assert frozen.weights == []
    np.testing.assert_allclose(frozen(photographs()), photographs() / 255, rtol=1e-6)


def test_an_image_of_another_size_is_brought_to_the_input_size():
    frozen = cnn.frozen(16, input_size=32, preprocessing="unit")
    grey = np.full((1, 16, 16, 3), 51, np.float32)  # 51 / 255 = 0.2, at any size
    np.testing.assert_allclose(frozen(grey), np.full((1, 32, 32, 3), 0.2), rtol=1e-6)


def test_the_cnn_has_no_preprocessing_of_imagenet():
    with pytest.raises(ValueError, match="cnn must have preprocessing: unit; it is imagenet"):
        cnn.frozen(32, input_size=32, preprocessing="imagenet")


def test_the_cnn_refuses_an_image_that_its_sets_would_halve_to_nothing():
    # 8 px become 4, 2, 1; a fourth set has nothing to pool.
    settings = {"dense_units": [4], "dropout": 0.1, "batch_norm_momentum": 0.9}
    cnn.trainable((8, 8, 3), filters=[2, 2, 2], **settings)
    with pytest.raises(ValueError, match=r"must be at least 16 px for 4 sets .*; it is 8"):
        cnn.trainable((8, 8, 3), filters=[2, 2, 2, 2], **settings)


# Frozen backbones


@pytest.mark.parametrize(("architecture", "width"), [(vgg16, 512), (resnet50, 2048)])
def test_a_backbone_is_frozen_and_gives_features_of_its_width(architecture, width):
    frozen = freeze(architecture)
    assert frozen.trainable_weights == []
    assert len(frozen.weights) > 0
    assert frozen.output_shape == (None, width)


def test_the_joined_network_trains_only_the_head():
    frozen = freeze(vgg16)
    head = vgg16.trainable((512,), dense_units=[4], dropout=0.1)
    network = join(frozen, head)
    # A kernel and a bias for each of the layers 512 - 4 - 7.
    assert [tuple(weight.shape) for weight in network.trainable_weights] == [
        (512, 4),
        (4,),
        (4, 7),
        (7,),
    ]
    probabilities = network(photographs())
    np.testing.assert_allclose(probabilities, head(frozen(photographs())), rtol=1e-5)
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
    frozen = freeze(
        vgg16,
        size=64,
        input_size=64,
        preprocessing=preprocessing,
        backbone={"weights": "random", "pooling": pooling},
    )
    backbone = frozen.get_layer("vgg16")
    pixels = photographs(size=64)
    if preprocessing == "imagenet":
        prepared = keras.applications.vgg16.preprocess_input(pixels.copy())
    else:
        prepared = pixels / 255
    maps = keras.ops.convert_to_numpy(backbone(prepared))
    assert maps.shape == (3, 2, 2, 512)  # five times halved
    np.testing.assert_allclose(frozen(pixels), pool(maps), rtol=1e-4, atol=1e-5)


def test_imagenet_preprocessing_of_vgg16_is_bgr_less_the_mean_colour():
    # Simonyan and Zisserman subtract ImageNet's mean colour; Caffe's channels are B, G, R.
    def unchanged(weights, include_top, input_shape):
        inputs = keras.Input(input_shape)
        return keras.Model(inputs, keras.layers.Identity()(inputs))

    preprocess_input = keras.applications.vgg16.preprocess_input
    flat = {"weights": "random", "pooling": "flatten"}
    settings = {"input_size": 1, "preprocessing": "imagenet", "backbone": flat}
    frozen = frozen_backbone(unchanged, preprocess_input, 1, **settings)
    colour = np.array([[[[10, 20, 30]]]], np.float32)
    expected = [[30 - 103.939, 20 - 116.779, 10 - 123.68]]
    np.testing.assert_allclose(frozen(colour), expected, rtol=1e-6)


def test_too_small_an_input_is_refused():
    with pytest.raises(ValueError, match=r"input_size must suit VGG16; it is 16; .* least 32x32"):
        freeze(vgg16, size=16, input_size=16)


# Weights


def weights(path):
    return {"backbone": {"weights": str(path), "pooling": "average"}}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The weights of a random VGG16, and its features of the photographs."""
    frozen = freeze(vgg16)
    path = tmp_path_factory.mktemp("weights") / "vgg16.weights.h5"
    frozen.get_layer("vgg16").save_weights(path)
    return path, np.asarray(frozen(photographs()))


def test_weights_are_read_from_a_file(saved):
    path, features = saved
    np.testing.assert_array_equal(freeze(vgg16, **weights(path))(photographs()), features)
    assert not np.allclose(freeze(vgg16)(photographs()), features)


def test_weights_are_read_from_the_older_format_that_keras_downloads(saved, tmp_path):
    path, features = saved
    network = keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
    network.load_weights(path)
    network.save(tmp_path / "notop.h5")
    frozen = freeze(vgg16, **weights(tmp_path / "notop.h5"))
    np.testing.assert_array_equal(frozen(photographs()), features)


def test_weights_of_another_network_are_refused(saved):
    with pytest.raises(ValueError, match=r"must hold ResNet50 without its top; .*vgg16\.weights"):
        freeze(resnet50, **weights(saved[0]))


def test_a_file_of_a_part_of_the_weights_is_refused(tmp_path):
    application = keras.applications.VGG16(weights=None, include_top=False)
    part = keras.Model(application.inputs, application.get_layer("block4_pool").output)
    part.save_weights(tmp_path / "part.weights.h5")
    with pytest.raises(
        ValueError, match=r"must hold VGG16 without its top; .*part\.weights\.h5 do"
    ):
        freeze(vgg16, **weights(tmp_path / "part.weights.h5"))


def test_a_file_that_holds_no_weights_is_refused(tmp_path):
    (tmp_path / "a.weights.h5").write_bytes(b"no weights")
    with pytest.raises(ValueError, match=r"must hold VGG16 without its top; .*a\.weights\.h5 does"):
        freeze(vgg16, **weights(tmp_path / "a.weights.h5"))


def test_a_missing_weights_file_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"backbone\.weights must be a file; .*b\.weights\.h5 is n"
    ):
        freeze(vgg16, **weights(tmp_path / "b.weights.h5"))


def test_the_real_imagenet_weights_are_read(shared):
    path = shared("weights/vgg16_imagenet_notop.weights.h5")
    backbone = freeze(vgg16, **weights(path)).get_layer("vgg16")
    assert len(backbone.weights) == 26  # 13 convolutions, a kernel and a bias each
    with h5py.File(path) as file:
        first, last = (file[f"layers/{name}/vars/0"][:] for name in ("conv2d", "conv2d_12"))
    np.testing.assert_array_equal(backbone.weights[0], first)
    np.testing.assert_array_equal(backbone.weights[-2], last)


@pytest.fixture
def website(tmp_path, monkeypatch):
    """Let Keras look for VGG16's weights on a server of ours, whose folder is given."""
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


REFUSED = r"weights: imagenet needs the weights of VGG16, .* to that file's path; Keras says: "


def test_weights_that_cannot_be_downloaded_are_told_with_two_ways_out(website):
    with pytest.raises(ValueError, match=REFUSED + r"URL fetch failure on .*vgg16\.h5: 404"):
        freeze(vgg16, **weights("imagenet"))


def test_a_download_of_something_else_is_told(website, own_keras_home):
    (website / "vgg16.h5").write_text(
        "<html>Sign in to the hotel's network</html>", encoding="utf-8"
    )
    with pytest.raises(ValueError, match=REFUSED + "Incomplete or corrupted file detected"):
        freeze(vgg16, **weights("imagenet"))
    assert (own_keras_home / "models").is_dir()  # and nothing in the user's own


# Architectures by name, and what they take


def test_architectures_are_found_by_name():
    assert load_architecture("vgg16") is vgg16


def test_an_unknown_architecture_is_told_with_the_file_to_write():
    message = r"'vgg17' must have a file src/lesions/networks/vgg17\.py; No module named"
    with pytest.raises(ValueError, match=message):
        load_architecture("vgg17")


def test_a_file_without_the_two_functions_is_told(monkeypatch):
    half = types.ModuleType("lesions.networks.half")
    half.frozen = vgg16.frozen
    monkeypatch.setitem(sys.modules, "lesions.networks.half", half)
    with pytest.raises(
        ValueError, match=r"networks/half\.py must define trainable\(\); see lesion"
    ):
        load_architecture("half")


@pytest.mark.parametrize("function", ["frozen", "trainable"])
@pytest.mark.parametrize("name", list_architectures())
def test_what_is_read_from_a_file_is_what_python_itself_makes_of_it(name, function):
    real = inspect.signature(getattr(load_architecture(name), function))
    read = read_signature(name, function)
    assert list(read.parameters) == list(real.parameters)
    assert [one.kind for one in read.parameters.values()] == [
        one.kind for one in real.parameters.values()
    ]


# Standardising


def head_that_shows_its_input(n_features):
    inputs = keras.Input((n_features,))
    return keras.Model(inputs, keras.layers.Identity()(inputs))


def test_standardised_features_have_mean_0_and_variance_1():
    features = np.random.default_rng(0).normal([5, -3], [2, 0.1], (500, 2)).astype(np.float32)
    network = standardised(head_that_shows_its_input(2), features)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    np.testing.assert_allclose(network(features), (features - mean) / deviation, atol=1e-4)
    # What it has measured does not change with what it is shown later.
    np.testing.assert_allclose(network(np.zeros((1, 2))), [-mean / deviation], rtol=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6, -3e-6])
def test_constant_features_do_not_blow_up(value):
    features = np.full((1000, 1), value, np.float32)
    network = standardised(head_that_shows_its_input(1), features)
    np.testing.assert_allclose(network(features), np.zeros((1000, 1)), atol=1e-6)
    # Another value is as far from the mean as it was: the scale is left alone.
    other = features[:1] + np.float32(2)
    np.testing.assert_allclose(network(other), other - features[:1], atol=1e-6)


def test_features_that_are_constant_but_for_rounding_do_not_blow_up():
    # Neighbouring float32 numbers near 1000 lie 6e-5 apart: 6e-8 of the mean.
    features = np.full((1000, 1), 1000, np.float32)
    features[::2] = np.nextafter(np.float32(1000), np.float32(2000))
    network = standardised(head_that_shows_its_input(1), features)
    np.testing.assert_allclose(network(np.full((1, 1), 1001, np.float32)), [[1]], atol=1e-3)


def test_features_are_not_modified():
    features = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    before = features.copy()
    standardised(head_that_shows_its_input(2), features)
    np.testing.assert_array_equal(features, before)
