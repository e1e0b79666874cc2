import numpy as np
import pytest
from scipy import sparse

from lesions.networks.backend import keras
from lesions.sampling.mixing import mix, select_images
from lesions.training.feature_extraction import extract_features

N_IMAGES = 9


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (N_IMAGES, 6, 6, 3), np.uint8)


@pytest.fixture(scope="module")
def mixing():
    """Nine images as they are, then fourteen mixed ones."""
    rng = np.random.default_rng(1)
    rows = np.zeros((14, N_IMAGES), np.float32)
    for row in rows:
        first, second = rng.choice(N_IMAGES, 2, replace=False)
        row[first] = rng.uniform()
        row[second] = 1 - row[first]
    identity = sparse.identity(N_IMAGES, dtype=np.float32)
    return sparse.vstack([identity, sparse.csr_matrix(rows)]).tocsr()


@pytest.fixture(scope="module")
def backbone():
    """A network that is not linear and would behave otherwise while it is trained."""
    keras.utils.set_random_seed(1)
    layers = [
        keras.Input((6, 6, 3)),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(4, 3, activation="relu", bias_initializer="random_normal"),
        keras.layers.BatchNormalization(moving_mean_initializer="ones"),
        keras.layers.Dropout(0.5),
        keras.layers.Flatten(),
    ]
    return keras.Sequential(layers)


def extract(backbone, mixing, images, **settings):
    out = np.full((mixing.shape[0], *backbone.output_shape[1:]), np.nan, np.float32)
    extract_features(backbone, mixing, images, out, **settings)
    return out


def test_features_are_those_of_the_mixed_pixels(backbone, mixing, images):
    expected = backbone.predict_on_batch(mix(mixing, images))
    np.testing.assert_allclose(extract(backbone, mixing, images), expected, rtol=1e-5, atol=1e-6)


def test_mixing_features_instead_of_pixels_would_not_be_the_same(backbone, mixing, images):
    unmixed = backbone.predict_on_batch(images.astype(np.float32))
    features = extract(backbone, mixing, images)
    np.testing.assert_allclose(features[:N_IMAGES], unmixed, rtol=1e-5, atol=1e-6)
    assert not np.allclose(features[N_IMAGES:], (mixing @ unmixed)[N_IMAGES:], atol=1e-2)


@pytest.mark.parametrize("batch_size", [1, 5, 23, 1000])
def test_the_batch_size_does_not_change_the_result_but_for_rounding(
    backbone, mixing, images, batch_size
):
    features = extract(backbone, mixing, images, batch_size=batch_size)
    expected = extract(backbone, mixing, images)
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-6)


def test_features_can_be_repeated_to_the_last_bit(backbone, mixing, images):
    np.testing.assert_array_equal(
        extract(backbone, mixing, images, batch_size=4),
        extract(backbone, mixing, images, batch_size=4),
    )


def test_images_and_features_may_be_memory_maps(backbone, mixing, images, tmp_path):
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    shape = (mixing.shape[0], *backbone.output_shape[1:])
    file = tmp_path / "features.npy"
    out = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=shape)
    extract_features(backbone, mixing, mapped, out)
    out.flush()
    np.testing.assert_array_equal(np.load(file), extract(backbone, mixing, images))


def test_no_images_have_no_features(backbone, images):
    none = select_images(np.array([], int), N_IMAGES)
    assert extract(backbone, none, images).shape == (0, 64)  # 4 filters at 4 x 4 places


def test_images_and_mixing_are_not_modified(backbone, mixing, images):
    before = images.copy(), mixing.copy()
    extract(backbone, mixing, images)
    np.testing.assert_array_equal(images, before[0])
    assert (mixing != before[1]).nnz == 0
