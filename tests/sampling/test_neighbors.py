import tracemalloc

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from lesions.imaging.images import read_image
from lesions.sampling import neighbors
from lesions.sampling.neighbors import nearest_rows


def exact_distances(images, queries, candidates):
    """Return squared distances as Python integers, which have any size."""
    pixels = images.reshape(len(images), -1).astype(object)
    return np.array([[((pixels[a] - pixels[b]) ** 2).sum() for b in candidates] for a in queries])


def order(distances, n_neighbors):
    """Return the columns of the smallest distances, ties in their own order."""
    return [
        sorted(range(len(row)), key=lambda column: (row[column], column))[:n_neighbors]
        for row in distances
    ]


def noise(n_images, *shape):
    return np.random.default_rng(0).integers(0, 256, (n_images, *shape), dtype=np.uint8)


# Exactness


def test_neighbours_are_those_of_integer_arithmetic_whatever_the_chunks(monkeypatch):
    # 35 features in chunks of 8, 30 rows in chunks of 7, 20 queries in chunks of 3: none divides.
    images = noise(40, 5, 7, 1)
    queries, candidates = np.arange(20), np.arange(39, 9, -1)
    monkeypatch.setattr(neighbors, "CHUNK_FEATURES", 8)
    monkeypatch.setattr(neighbors, "CHUNK_ROWS", 7)
    monkeypatch.setattr(neighbors, "CHUNK_DISTANCES", 3 * 30)
    nearest = nearest_rows(images, queries, candidates, n_neighbors=6)
    expected = order(exact_distances(images, queries, candidates), 6)
    np.testing.assert_array_equal(nearest, expected)


def test_neighbours_of_photographs_are_as_near_as_those_of_scikit_learn(shared):
    # scikit-learn's order of ties depends on its threads, so distances are compared.
    files = sorted(shared("ham10000_28").rglob("*.jpg"))[:500]
    images = np.stack([read_image(file) for file in files])
    queries = np.arange(0, 500, 2)
    pixels = images.reshape(len(images), -1).astype(np.float64)
    expected, _ = NearestNeighbors(n_neighbors=6).fit(pixels).kneighbors(pixels[queries])
    nearest = nearest_rows(images, queries, np.arange(500), n_neighbors=6)
    distances = np.linalg.norm(pixels[queries][:, None] - pixels[nearest], axis=2)
    # Both are roots of integers below 2 ** 53: equal but for the rounding of the root.
    np.testing.assert_allclose(distances, expected, rtol=1e-12, atol=0)


def test_distances_that_differ_by_1_in_ten_thousand_million_are_distinguished():
    # Black to white over 154,000 features is 154,000 * 255 ** 2 = 1.0e10, where float32 has steps
    # of 1024. In the first feature the differences are 2, 0 and 1 instead: 4, 0 and 1 squared.
    images = np.full((4, 154_000), 255, np.uint8)
    images[0, 1:] = 0
    images[1:, 0] = 253, 255, 254
    nearest = nearest_rows(images, np.array([0]), np.arange(1, 4), n_neighbors=3)
    np.testing.assert_array_equal(nearest, [[1, 2, 0]])


@pytest.mark.parametrize(
    "image", [np.zeros((1, 4096), np.uint8), np.full((1, 4096), 255, np.uint8), noise(1, 4096)]
)
def test_copies_that_differ_by_one_grey_level_are_distinguished(image):
    # Copy i differs in i features, so its squared distance from copy 0 is i. For black, 1024
    # features minus 128 give 2 ** 24 a chunk, the last integer before float32 rounds.
    images = np.repeat(image, 9, axis=0)
    for i in range(9):
        images[i, :i] ^= 1
    nearest = nearest_rows(images, np.array([0]), np.array([4, 8, 3, 0, 7, 1]), n_neighbors=6)
    np.testing.assert_array_equal(nearest, [[3, 5, 2, 0, 4, 1]])


def test_ties_keep_their_order_also_at_the_last_neighbour():
    # Distances from the first image: 0, 4, 1, 4, 1, 4.
    images = np.array([10, 12, 11, 8, 9, 12], np.uint8)[:, None]
    for n_neighbors, expected in [(2, [0, 2]), (3, [0, 2, 4]), (5, [0, 2, 4, 1, 3])]:
        nearest = nearest_rows(images, np.array([0]), np.arange(6), n_neighbors=n_neighbors)
        np.testing.assert_array_equal(nearest, [expected])


@pytest.mark.parametrize("n_threads", [1, 2])
def test_neighbours_do_not_depend_on_the_number_of_threads(n_threads):
    images = np.random.default_rng(0).integers(0, 2, (300, 64), dtype=np.uint8)  # many ties
    rows = np.arange(300)
    with threadpool_limits(n_threads):
        nearest = nearest_rows(images, rows, rows, n_neighbors=6)
    pixels = images.astype(int)
    distances = ((pixels[:, None] - pixels) ** 2).sum(axis=2)
    np.testing.assert_array_equal(nearest, order(distances, 6))


# Memory


def test_a_memory_map_is_never_converted_to_float_as_a_whole(tmp_path):
    # 200 images of 32 kB are 6.6 MB, in float32 26 MB; a chunk of 1024 features is 0.8 MB.
    np.save(tmp_path / "images.npy", noise(200, 1 << 15))
    images = np.load(tmp_path / "images.npy", mmap_mode="r")
    rows = np.arange(200)
    expected = nearest_rows(np.array(images), rows, rows, n_neighbors=3)
    tracemalloc.start()
    nearest = nearest_rows(images, rows, rows, n_neighbors=3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(nearest, expected)
    assert peak < 5e6


# Errors
