import tracemalloc

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from lesions import neighbors
from lesions.images import read_image
from lesions.neighbors import nearest_rows


def whole_distances(images, asked, among):
    """Squared distances in Python's own whole numbers of any size."""
    pixels = images.reshape(len(images), -1).astype(object)
    return np.array([[((pixels[a] - pixels[b]) ** 2).sum() for b in among] for a in asked])


def in_order(distances, n_neighbors):
    """The columns of the smallest, of equal ones the first first."""
    return [
        sorted(range(len(row)), key=lambda column: (row[column], column))[:n_neighbors]
        for row in distances
    ]


def noise(n_images, *shape):
    return np.random.default_rng(0).integers(0, 256, (n_images, *shape), dtype=np.uint8)


# The same neighbours as others find


def test_neighbours_are_those_of_whole_numbers_whatever_the_blocks(monkeypatch):
    # 35 features in blocks of 8, 30 rows in blocks of 7, 20 asked for in threes: no block fits.
    images = noise(40, 5, 7, 1)
    asked, among = np.arange(20), np.arange(39, 9, -1)
    monkeypatch.setattr(neighbors, "N_FEATURES", 8)
    monkeypatch.setattr(neighbors, "N_ROWS", 7)
    monkeypatch.setattr(neighbors, "N_DISTANCES", 3 * 30)
    found = nearest_rows(images, asked, among, n_neighbors=6)
    np.testing.assert_array_equal(found, in_order(whole_distances(images, asked, among), 6))


def test_neighbours_of_photographs_are_as_near_as_those_of_scikit_learn(shared):
    # Equally near ones it gives in an order that depends on its threads: so compare distances.
    files = sorted(shared("ham10000_28").rglob("*.jpg"))[:500]
    images = np.stack([read_image(file) for file in files])
    asked, among = np.arange(0, 500, 2), np.arange(500)
    pixels = images.reshape(len(images), -1).astype(np.float64)
    expected, _ = NearestNeighbors(n_neighbors=6).fit(pixels).kneighbors(pixels[asked])
    found = nearest_rows(images, asked, among, n_neighbors=6)
    distances = np.linalg.norm(pixels[asked][:, None] - pixels[found], axis=2)
    # Both are roots of whole numbers below 2 ** 53: equal but for the rounding of the root.
    np.testing.assert_allclose(distances, expected, rtol=1e-12, atol=0)


def test_distances_that_differ_by_1_of_ten_thousand_million_are_told_apart():
    # Black from white over 154,000 features is 154,000 * 255 ** 2 = 1.0e10, where float32 steps in
    # 1024. In the first feature they differ by 2, 0 and 1 instead: by 4, 0 and 1 squared.
    images = np.full((4, 154_000), 255, np.uint8)
    images[0, 1:] = 0
    images[1:, 0] = 253, 255, 254
    found = nearest_rows(images, np.array([0]), np.arange(1, 4), n_neighbors=3)
    np.testing.assert_array_equal(found, [[1, 2, 0]])


@pytest.mark.parametrize(
    "image", [np.zeros((1, 4096), np.uint8), np.full((1, 4096), 255, np.uint8), noise(1, 4096)]
)
def test_copies_that_differ_by_one_grey_level_are_told_apart(image):
    # Copy i differs in i features, so its squared distance from copy 0 is i. Of black, 1024
    # features less 128 give 2 ** 24 a block, the last whole number before float32 rounds.
    images = np.repeat(image, 9, axis=0)
    for i in range(9):
        images[i, :i] ^= 1
    found = nearest_rows(images, np.array([0]), np.array([4, 8, 3, 0, 7, 1]), n_neighbors=6)
    np.testing.assert_array_equal(found, [[3, 5, 2, 0, 4, 1]])


def test_of_equally_near_images_the_first_comes_first_also_at_the_end():
    # Distances from the first image: 0, 4, 1, 4, 1, 4.
    images = np.array([10, 12, 11, 8, 9, 12], np.uint8)[:, None]
    for n_neighbors, expected in [(2, [0, 2]), (3, [0, 2, 4]), (5, [0, 2, 4, 1, 3])]:
        found = nearest_rows(images, np.array([0]), np.arange(6), n_neighbors=n_neighbors)
        np.testing.assert_array_equal(found, [expected])


@pytest.mark.parametrize("n_threads", [1, 2])
def test_neighbours_do_not_depend_on_the_number_of_threads(n_threads):
    images = np.random.default_rng(0).integers(0, 2, (300, 64), dtype=np.uint8)  # many ties
    rows = np.arange(300)
    with threadpool_limits(n_threads):
        found = nearest_rows(images, rows, rows, n_neighbors=6)
    pixels = images.astype(int)
    distances = ((pixels[:, None] - pixels) ** 2).sum(axis=2)
    np.testing.assert_array_equal(found, in_order(distances, 6))


# Where the photographs lie


def test_a_memory_map_is_searched_without_holding_its_pixels_in_float(tmp_path):
    # 200 images of 32 kB are 6.6 MB, in float32 26 MB; a block of 1024 features is 0.8 MB.
    np.save(tmp_path / "images.npy", noise(200, 1 << 15))
    images = np.load(tmp_path / "images.npy", mmap_mode="r")
    rows = np.arange(200)
    expected = nearest_rows(np.array(images), rows, rows, n_neighbors=3)
    tracemalloc.start()
    found = nearest_rows(images, rows, rows, n_neighbors=3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(found, expected)
    assert peak < 5e6


# What is refused


def test_images_that_are_not_uint8_are_refused():
    with pytest.raises(ValueError, match=r"images must be uint8, .*; found float32"):
        nearest_rows(np.zeros((3, 2), np.float32), np.arange(3), np.arange(3), n_neighbors=1)


def test_more_neighbours_than_images_are_refused():
    with pytest.raises(ValueError, match="at most the number of images searched; found 3 of 2"):
        nearest_rows(noise(4, 2), np.arange(4), np.arange(2), n_neighbors=3)
