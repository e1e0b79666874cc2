"""Nearest neighbours of photographs by their pixels, searched where the photographs lie.

A squared distance of uint8 pixels is a whole number, and so are the parts of its sum. Pixels less
128 lie in -128..127; a sum of up to 1024 of their products lies within 1024 * 2**14 = 2**24, and up
to there float32 holds every whole number. So float32 matrix products of 1024 features are exact,
whatever their order and number of threads, and their sums in float64 are exact up to 2**53.
"""

import numpy as np

MIDDLE = np.float32(128)
N_FEATURES = 1024  # at a time: one more, and float32 might round
N_ROWS = 1024  # compared at a time; so many rows of so many features fit a processor's cache
N_DISTANCES = 2**23  # held at a time, 64 MiB; bounds the memory, whatever the number of images


def nearest_rows(
    images: np.ndarray, asked: np.ndarray, among: np.ndarray, *, n_neighbors: int
) -> np.ndarray:
    """Find the images nearest to some by the Euclidean distance of all their pixels.

    The search is exact and reads a block at a time, so `images` may be a memory map. Its time is
    that of `len(asked) * len(among) * n_features` multiplications in float32.

    Parameters
    ----------
    images
        uint8 `(n_images, ...)`.
    asked, among
        Integers: rows of `images`.
    n_neighbors
        Of each image asked for.

    Returns
    -------
    ndarray
        Integers `(len(asked), n_neighbors)`: places in `among`, the nearest first and of equally
        near ones the first. An image that is itself among them is its own neighbour.

    Raises
    ------
    ValueError
        If the images are not uint8, or fewer than the neighbours.
    """
    if images.dtype != np.uint8:
        raise ValueError(
            f"images must be uint8, as resize writes them: others' distances are no whole numbers; "
            f"found {images.dtype}"
        )
    if n_neighbors > len(among):
        raise ValueError(
            f"n_neighbors must be at most the number of images searched; found {n_neighbors} "
            f"of {len(among)}; lower it, or bring more images"
        )
    pixels = np.asarray(images).reshape(len(images), -1)
    found = np.empty((len(asked), n_neighbors), dtype=np.intp)
    n_asked = max(1, N_DISTANCES // len(among))
    for start in range(0, len(asked), n_asked):
        chunk = slice(start, start + n_asked)
        found[chunk] = [
            _smallest(distances, n_neighbors)
            for distances in _half_distances(pixels, asked[chunk], among)
        ]
    return found


def _half_distances(pixels, asked, among):
    """Give b·b / 2 - a·b: of one a, it orders all b as their squared distances from a do."""
    halves = np.zeros((len(asked), len(among)))
    squares = np.zeros(len(among))
    for first in range(0, pixels.shape[1], N_FEATURES):
        features = slice(first, first + N_FEATURES)
        a = pixels[asked, features] - MIDDLE
        for start in range(0, len(among), N_ROWS):
            rows = slice(start, start + N_ROWS)
            b = pixels[among[rows], features] - MIDDLE
            halves[:, rows] -= a @ b.T
            squares[rows] += np.einsum("ij,ij->i", b, b)
    halves += squares / 2
    return halves


def _smallest(distances, n_smallest):
    """Give the places of the smallest in order, of equal ones the first first."""
    largest = np.partition(distances, n_smallest - 1)[n_smallest - 1]
    places = np.flatnonzero(distances <= largest)
    return places[np.argsort(distances[places], kind="stable")[:n_smallest]]
