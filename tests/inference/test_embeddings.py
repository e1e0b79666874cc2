import cv2
import numpy as np
import pytest
from photographs import draw_photograph

from lesions.inference.embeddings import embed_photographs
from lesions.inference.predict import mean_over_views
from lesions.networks.backend import keras


@pytest.fixture(scope="module")
def embeddings(tmp_path_factory):
    """Return the embeddings of two photographs, then of their mirror images."""
    folder = tmp_path_factory.mktemp("photographs")
    first, second = (draw_photograph("nv", lesion_seed=seed, photo_seed=seed) for seed in (1, 2))
    images = [first, second, first[:, ::-1], second[::-1, ::-1]]
    files = [folder / f"{row}.png" for row in range(4)]
    for file, image in zip(files, images, strict=True):
        assert cv2.imwrite(str(file), image)
    return embed_photographs(files)


def test_mirror_images_have_the_same_embedding_and_other_lesions_another(embeddings):
    assert embeddings.shape == (4, 1280)
    assert embeddings.dtype == np.float16
    values = embeddings.astype(float)
    norms = np.linalg.norm(values, axis=1)
    cosines = values @ values.T / np.outer(norms, norms)
    assert cosines[0, 2] > 0.9999
    assert cosines[1, 3] > 0.9999
    assert cosines[0, 1] < 0.99


def test_no_photographs_have_no_embeddings():
    assert embed_photographs([]).shape == (0, 1280)


def test_outputs_are_the_mean_over_the_views_in_any_batches():
    network = keras.Sequential([keras.Input((2, 2, 3)), keras.layers.Flatten()])
    images = np.random.default_rng(1).integers(0, 256, (5, 2, 2, 3), np.uint8)
    expected = np.mean([images, images[:, ::-1], images[:, :, ::-1], images[:, ::-1, ::-1]], axis=0)
    outputs = mean_over_views(network, images, tta="flips", batch_size=2)
    np.testing.assert_allclose(outputs, expected.reshape(5, 12), rtol=1e-6)
