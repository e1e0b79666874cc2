"""Exact nearest neighbours of images by their pixels, computed in chunks.

Squared distances of uint8 pixels are integers. Pixels minus 128 lie in -128..127, so a sum of up to
1024 of their products lies within 1024 * 2**14 = 2**24, up to which float32 represents every
integer. float32 matrix products over 1024 features are therefore exact, whatever the order of the
sums and the number of threads, and their float64 sums are exact up to 2**53.
"""

import numpy as np

OFFSET = np.float32(128)
CHUNK_FEATURES = 1024  # more, and float32 might round
CHUNK_ROWS = 1024  # rows of 1024 features that fit a processor's cache
CHUNK_DISTANCES = 2**23  # 64 MiB; bounds the memory, whatever the number of images


def nearest_rows(
    images: np.ndarray, queries: np.ndarray, candidates: np.ndarray, *, n_neighbors: int
) -> np.ndarray:
    """Find the images with the smallest Euclidean distances over all pixels.

    The search takes `len(queries) * len(candidates) * n_features` float32 multiplications.

    Parameters
    ----------
    images
        uint8 `(n_images, ...)`; may be a memory map.
    queries, candidates
        Integers: rows of `images`.
    n_neighbors
        Neighbours of each query.

    Returns
    -------
    ndarray
        Integers `(len(queries), n_neighbors)`: positions in `candidates`, nearest first, ties in
        their order. An image among the candidates is its own nearest neighbour.
    """
    pixels = np.asarray(images).reshape(len(images), -1)
    nearest = np.empty((len(queries), n_neighbors), dtype=np.intp)
    n_queries = max(1, CHUNK_DISTANCES // len(candidates))
    for start in range(0, len(queries), n_queries):
        chunk = slice(start, start + n_queries)
        nearest[chunk] = [
            _smallest(distances, n_neighbors)
            for distances in _half_distances(pixels, queries[chunk], candidates)
        ]
    return nearest


def _half_distances(pixels, queries, candidates):
    """Return b·b / 2 - a·b, which orders all b like their squared distances from a."""
    halves = np.zeros((len(queries), len(candidates)))
    squares = np.zeros(len(candidates))
    for first in range(0, pixels.shape[1], CHUNK_FEATURES):
        features = slice(first, first + CHUNK_FEATURES)
        a = pixels[queries, features] - OFFSET
        for start in range(0, len(candidates), CHUNK_ROWS):
            rows = slice(start, start + CHUNK_ROWS)
            b = pixels[candidates[rows], features] - OFFSET
            halves[:, rows] -= a @ b.T
            squares[rows] += np.einsum("ij,ij->i", b, b)
    halves += squares / 2
    return halves


def _smallest(distances, n_smallest):
    """Return the positions of the smallest in order, ties in their own order."""
    largest = np.partition(distances, n_smallest - 1)[n_smallest - 1]
    positions = np.flatnonzero(distances <= largest)
    return positions[np.argsort(distances[positions], kind="stable")[:n_smallest]]
