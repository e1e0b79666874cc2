"""Metadata as a second input: how they are encoded, and the networks that read them."""

import json

import numpy as np
import pandas as pd
import pytest
from made_up_training import training_settings

from lesions.networks import cnn, load_build, residual
from lesions.networks.backend import keras
from lesions.networks.layers import add_metadata, list_layers
from lesions.networks.metadata import COLUMNS, choose_encoding, encode_metadata
from lesions.networks.saving import load_network, read_encoding, save_network
from lesions.training.fast_layers import copy_for_training
from lesions.training.optimization import Optimizer

TRAIN = pd.DataFrame(
    {
        "age": [80.0, np.nan, 35.0],
        "sex": ["male", "female", None],
        "localization": ["scalp", "unknown", "back"],
        "dx_type": ["histo", "follow_up", "histo"],
    }
)
ENCODING = {"age": [], "sex": ["female", "male"], "localization": ["back", "scalp"]}


def encode(**columns):
    return encode_metadata(pd.DataFrame(columns), ENCODING).tolist()


# The encoding


def test_the_words_are_those_of_the_training_rows():
    assert choose_encoding(TRAIN, COLUMNS) == ENCODING
    assert choose_encoding(TRAIN[:1], COLUMNS)["localization"] == ["scalp"]


def test_the_order_in_which_columns_are_named_does_not_matter():
    assert list(choose_encoding(TRAIN, ["localization", "age"])) == ["age", "localization"]


def test_a_row_is_numbers_for_age_sex_and_localization():
    found = encode_metadata(TRAIN, ENCODING)
    assert found.dtype == np.float32
    # (80 - 50) / 25 = 1.2 and (35 - 50) / 25 = -0.6.
    #             age known female male back scalp
    expected = [[1.2, 1, 0, 1, 0, 1], [0, 0, 1, 0, 0, 0], [-0.6, 1, 0, 0, 1, 0]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_an_age_of_fifty_is_not_a_missing_age():
    assert encode(age=[50.0])[0][:2] == [0, 1]
    assert encode(age=[np.nan])[0][:2] == [0, 0]


@pytest.mark.parametrize("missing", [None, np.nan, "", " ", "unknown", "Unknown"])
def test_whatever_says_that_a_value_is_missing_is_zeros(missing):
    assert encode(age=[missing], sex=[missing], localization=[missing]) == [[0] * 6]


def test_a_table_may_lack_the_columns():
    assert encode(image_id=["a", "b"]) == [[0] * 6] * 2
    assert encode(sex=["male"]) == [[0, 0, 0, 1, 0, 0]]


def test_a_word_that_no_training_row_has_is_as_if_it_were_missing():
    assert encode(sex=["other"], localization=["ear"]) == [[0] * 6]


def test_numbers_as_text_capitals_and_spaces_do_not_matter():
    expected = encode(age=[80.0], sex=["male"], localization=["back"])
    assert encode(age=["80"], sex=["Male"], localization=[" BACK "]) == expected


def test_a_column_that_the_encoding_lacks_changes_nothing():
    assert "dx_type" not in choose_encoding(TRAIN, COLUMNS)
    only_sex = choose_encoding(TRAIN, ["sex"])
    assert encode_metadata(TRAIN, only_sex).tolist() == [[0, 1], [1, 0], [0, 0]]
    assert encode_metadata(TRAIN, choose_encoding(TRAIN, [])).shape == (3, 0)
    assert encode_metadata(TRAIN[:0], ENCODING).shape == (0, 6)


def test_the_table_is_not_modified():
    before = TRAIN.copy()
    encode_metadata(TRAIN, choose_encoding(TRAIN, COLUMNS))
    pd.testing.assert_frame_equal(TRAIN, before)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_that_no_training_image_has_is_refused(column):
    with pytest.raises(ValueError, match=f"metadata names {column}, which no training image has;"):
        choose_encoding(TRAIN.assign(**{column: "unknown"}), COLUMNS)


def test_other_words_for_sex_are_refused_instead_of_read_as_missing():
    with pytest.raises(ValueError, match="sex of the metadata has f, m; write female and male"):
        choose_encoding(TRAIN.assign(sex=["m", "f", "m"]), ["sex"])


def test_codes_of_places_are_the_same_words_in_a_table_with_gaps():
    encoding = choose_encoding(TRAIN.assign(localization=[1, 2, 1]), ["localization"])
    found = encode_metadata(pd.DataFrame({"localization": [1, None, 2]}), encoding)
    assert found.tolist() == [[1, 0], [0, 0], [0, 1]]


def test_an_age_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match=r"column age of the metadata .*'old'.*; correct it"):
        encode(age=["old"])


# The network


def pixels(n=3):
    return np.random.default_rng(0).integers(0, 256, (n, 32, 32, 3)).astype(np.float32)


def make_cnn():
    settings = {"dense_units": [8], "dropout": 0.3, "batch_norm_momentum": 0.9}
    return cnn.build(pixels(), 7, input_pixels=32, filters=[4], **settings)


def make_residual():
    settings = {"input_pixels": 16, "filters": [4], "blocks": 1, "dropout": 0.3}
    return residual.build(pixels(), 7, **settings)


def make_fine_tuned(architecture, dense_units=(), trainable="last_2", **own):
    settings = {"weights": "random", "weights_sha256": None, "input_pixels": 32}
    settings |= {"preprocessing": "imagenet", "pooling": "average", "dropout": 0.3}
    settings |= {"trainable": trainable, "dense_units": list(dense_units)}
    return load_build(architecture)(pixels(), 7, **settings, **own)


ARCHITECTURES = {
    "cnn": make_cnn,
    "residual": make_residual,
    "applications": lambda: make_fine_tuned("applications", [8, 4], network="MobileNetV3Small"),
    "efficientnet_lite": lambda: make_fine_tuned("efficientnet_lite", version=0),
}


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(1)


def rows():
    return {"pixels": pixels(), "metadata": encode_metadata(TRAIN, ENCODING)}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_on_images_can_read_metadata(architecture, tmp_path):
    network = add_metadata(ARCHITECTURES[architecture](), 6)
    probabilities = np.asarray(network(rows()))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    without = np.asarray(network(rows() | {"metadata": np.zeros((3, 6), np.float32)}))
    assert np.abs(probabilities - without).max() > 1e-3

    save_network(network, tmp_path / "a.keras", encoding=ENCODING)
    loaded = load_network(tmp_path / "a.keras")
    np.testing.assert_array_equal(loaded(rows()), probabilities)
    # Anyone's Keras can load it: no layer is ours.
    modules = {type(layer).__module__.partition(".layers.")[0] for layer in list_layers(loaded)}
    assert modules == {"keras.src"}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_metadata_join_the_features_before_the_dense_layers(architecture):
    def head(network):
        layers = [type(layer).__name__ for layer in network.layers]
        return [name for name in layers if name in ("Dense", "Dropout")]

    alone = ARCHITECTURES[architecture]()
    network = add_metadata(alone, 6)
    names = [layer.name for layer in network.layers]
    after = keras.Model(network.input, network.get_layer("features").output)
    features = after(rows()).shape[1] - 32  # METADATA_UNITS
    assert head(network) == ["Dense", *head(alone)]  # that of metadata, then as before
    first = next(x for x in alone.layers if isinstance(x, keras.layers.Dense))
    assert first.input.shape[1] == features
    assert names[-1] == alone.layers[-1].name == "probabilities"


def test_the_layers_on_pixels_stay_those_of_the_network():
    alone = make_fine_tuned("applications", network="MobileNetV3Small")
    network = add_metadata(alone, 6)
    assert network.get_layer("backbone") is alone.get_layer("backbone")
    settings = training_settings()["optimizer"] | {"backbone_learning_rate": 1e-5}
    optimizer = Optimizer(network, n_steps=1, epochs=1, **settings)
    (_, rest), (_, pretrained) = optimizer.parts
    backbone = network.get_layer("backbone").trainable_variables
    assert [id(variable) for variable in pretrained] == [id(variable) for variable in backbone]
    assert len(rest) == 2 + 2  # kernel and bias of the metadata's layer and of the last


def test_without_values_the_network_stays_as_it_is():
    network = make_residual()
    assert add_metadata(network, 0) is network


def test_the_same_seed_gives_the_same_network():
    def draw(seed):
        keras.utils.set_random_seed(seed)
        return add_metadata(make_cnn(), 6).get_weights()

    for a, b in zip(draw(1), draw(1), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(draw(1)[-2], draw(2)[-2])


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("architecture", ["cnn", "efficientnet_lite"])
def test_the_copy_that_is_trained_reads_metadata_as_well(architecture, precision):
    network = add_metadata(ARCHITECTURES[architecture](), 6)
    copy = copy_for_training(network, precision)
    assert copy is not network
    tolerance = 1e-5 if precision == "float32" else 0.03
    np.testing.assert_allclose(copy(rows()), network(rows()), atol=tolerance)
    for a, b in zip(copy.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_network_that_does_not_end_in_dense_layers_is_refused():
    inputs = keras.Input((4, 4, 3))
    values = keras.layers.Softmax()(keras.layers.Dense(7)(keras.layers.Flatten()(inputs)))
    network = keras.Model(inputs, values, name="mine")
    with pytest.raises(ValueError, match=r"mine must end in dense layers.*; it ends in Softmax; e"):
        add_metadata(network, 6)


def test_the_encoding_travels_with_the_network(tmp_path):
    network = make_residual()
    save_network(network, tmp_path / "a.keras", trained_on={"cpu": "one"}, encoding=ENCODING)
    assert read_encoding(tmp_path / "a.keras") == json.loads(json.dumps(ENCODING))
    save_network(network, tmp_path / "b.keras")
    save_network(network, tmp_path / "c.keras", encoding={})
    assert read_encoding(tmp_path / "b.keras") == {}
    assert (tmp_path / "b.keras").read_bytes() == (tmp_path / "c.keras").read_bytes()
