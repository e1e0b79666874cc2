import numpy as np
import pandas as pd
import pytest
from made_up import CODES

from lesions.inference.predict import find_pixels, predict_images
from lesions.networks.backend import keras
from lesions.networks.layers import add_metadata

COLUMNS = ["p_akiec", "p_bcc", "p_bkl", "p_df", "p_mel", "p_nv", "p_vasc"]


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(1)
    layers = [
        keras.Input((4, 4, 3)),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Flatten(),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(7, activation="softmax"),
    ]
    return keras.Sequential(layers)


def photographs(n=11, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 256, (n, 4, 4, 3)).astype(dtype)


def test_every_image_has_seven_probabilities_that_sum_to_1(network):
    probabilities = predict_images(network, photographs(), codes=CODES)
    assert list(probabilities) == COLUMNS
    assert probabilities.shape == (11, 7)
    assert probabilities.to_numpy().min() >= 0
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


def test_probabilities_are_softmax_of_what_the_dense_layer_gives(network):
    # In inference: no dropout, and batch normalisation by its initial statistics, mean 0 and
    # variance 1 (+ epsilon), so that logits = (pixels / 255) / sqrt(1.001) @ kernel + bias.
    kernel, bias = network.layers[-1].get_weights()
    logits = photographs().reshape(11, -1) / 255 / np.sqrt(1.001) @ kernel + bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        predict_images(network, photographs(), codes=CODES), expected, rtol=1e-5
    )


@pytest.mark.parametrize("batch_size", [1, 4, 11])
def test_the_batch_size_does_not_change_the_result_but_for_rounding(network, batch_size):
    pd.testing.assert_frame_equal(
        predict_images(network, photographs(), batch_size=batch_size, codes=CODES),
        predict_images(network, photographs(), codes=CODES),
        rtol=1e-5,
    )


def test_pixels_may_be_integers_or_a_memory_map(network, tmp_path):
    np.save(tmp_path / "images.npy", photographs())
    expected = predict_images(network, photographs(dtype=np.float32), codes=CODES)
    for images in (photographs(), np.load(tmp_path / "images.npy", mmap_mode="r")):
        pd.testing.assert_frame_equal(predict_images(network, images, codes=CODES), expected)


class Recorded:
    """Images that remember how many were read at once."""

    def __init__(self, images):
        self.images, self.n_read = images, []

    def __len__(self):
        return len(self.images)

    def __getitem__(self, rows):
        self.n_read.append(len(rows))
        return self.images[rows]


def test_chosen_images_are_predicted_and_a_batch_is_read_at_a_time(network):
    rows, images = np.array([1, 2, 5, 7, 10]), Recorded(photographs())
    found = predict_images(network, images, rows=rows, batch_size=2, codes=CODES)
    assert images.n_read == [2, 2, 1]
    every = predict_images(network, photographs(), codes=CODES)
    pd.testing.assert_frame_equal(found, every.iloc[rows].reset_index(drop=True), rtol=1e-5)


def test_the_size_of_the_images_is_that_of_the_input(network):
    assert find_pixels(network) == 4
    pixels = keras.Input((8, 8, 3), name="pixels")
    probabilities = keras.layers.Dense(7, activation="softmax")(keras.layers.Flatten()(pixels))
    assert find_pixels(add_metadata(keras.Model(pixels, probabilities), 5)) == 8


def test_no_image_has_no_probabilities(network):
    probabilities = predict_images(network, photographs(0), codes=CODES)
    assert list(probabilities) == COLUMNS
    assert probabilities.shape == (0, 7)


def turned(images, *, tta):
    """All views by NumPy's flips and transposition alone, without rotations."""
    rows, columns, both = images[:, ::-1], images[:, :, ::-1], images[:, ::-1, ::-1]
    flips = [images, columns, rows, both]
    return flips if tta == "flips" else flips + [view.transpose(0, 2, 1, 3) for view in flips]


@pytest.mark.parametrize(("tta", "n_views"), [("flips", 4), ("dihedral", 8)])
def test_test_time_augmentation_is_the_mean_over_all_views(network, tta, n_views):
    alone = [predict_images(network, v, codes=CODES) for v in turned(photographs(), tta=tta)]
    assert len(alone) == n_views
    mean = predict_images(network, photographs(), codes=CODES, tta=tta)
    np.testing.assert_allclose(mean, np.mean(alone, axis=0), atol=1e-6)
    np.testing.assert_allclose(mean.sum(axis=1), 1, atol=1e-6)
    # The views differ: the network is not symmetric, so a forgotten one would move the mean.
    assert np.ptp(alone, axis=0).max() > 0.01


@pytest.mark.parametrize("tta", ["flips", "dihedral"])
def test_a_turned_photograph_has_the_same_prediction(network, tta):
    expected = predict_images(network, photographs(), codes=CODES, tta=tta)
    for images in turned(photographs(), tta=tta):
        found = predict_images(network, images, codes=CODES, tta=tta)
        pd.testing.assert_frame_equal(found, expected, rtol=1e-5)


def test_without_it_an_image_is_predicted_as_it_is(network):
    expected = network.predict_on_batch(photographs().astype(np.float32))
    found = predict_images(network, photographs(), codes=CODES, tta="none")
    assert (found.to_numpy() == expected).all()


# Metadata


@pytest.fixture(scope="module")
def network_on_metadata(network):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((4, 4, 3), name="pixels")
    values = inputs
    for layer in network.layers:
        values = type(layer).from_config(layer.get_config())(values)
    return add_metadata(keras.Model(inputs, values), 5)


def known(n=11):
    return np.random.default_rng(1).uniform(0, 1, (n, 5)).astype(np.float32)


@pytest.mark.parametrize("tta", ["none", "dihedral"])
def test_metadata_are_read_with_their_image(network_on_metadata, tta):
    together = predict_images(
        network_on_metadata, photographs(), codes=CODES, metadata=known(), tta=tta, batch_size=4
    )
    for row in (0, 7, 10):  # the first, one in the middle, one in the last batch
        alone = predict_images(
            network_on_metadata,
            photographs()[[row]],
            codes=CODES,
            metadata=known()[[row]],
            tta=tta,
        )
        np.testing.assert_allclose(alone.iloc[0], together.iloc[row], rtol=1e-5)
    without = predict_images(network_on_metadata, photographs(), codes=CODES, tta=tta)
    assert np.abs(together - without).to_numpy().max() > 0.01


def test_without_metadata_nothing_is_known(network_on_metadata):
    blank = np.zeros((11, 5), np.float32)
    found = predict_images(network_on_metadata, photographs(), codes=CODES)
    expected = predict_images(network_on_metadata, photographs(), codes=CODES, metadata=blank)
    pd.testing.assert_frame_equal(found, expected)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_metadata_that_another_network_reads_are_refused(network, network_on_metadata):
    message = r"are 11 rows of 4 values, and the network reads 5 values for each of 11 images; enc"
    with pytest.raises(ValueError, match=message):
        predict_images(network_on_metadata, photographs(), codes=CODES, metadata=known()[:, :4])
    with pytest.raises(ValueError, match="are 10 rows of 5 values, and the network reads 5"):
        predict_images(network_on_metadata, photographs(), codes=CODES, metadata=known(10))
    with pytest.raises(ValueError, match="are 11 rows of 5 values, and the network reads 0"):
        predict_images(network, photographs(), codes=CODES, metadata=known())
    predict_images(network, photographs(), codes=CODES, metadata=np.empty((11, 0)))
