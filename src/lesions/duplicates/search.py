"""Nearest neighbours among descriptors, exact or approximate."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from sklearn.neighbors import NearestNeighbors

N_PROBES = 16  # lists searched for each query


def build_search(
    descriptors: np.ndarray, *, n_neighbors: int, search: str
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that finds the nearest of `descriptors` for each query.

    Parameters
    ----------
    descriptors
        float32 `(n, n_features)`.
    n_neighbors
        Neighbours of each query, at most n.
    search
        `exact`: each query is compared with all descriptors. `approximate`: an inverted file
        (Jégou, Douze, Schmid, IEEE Trans Pattern Anal Mach Intell 33:117, 2011; PyPI `faiss-cpu`):
        k-means divides the descriptors into √n lists, and each query is compared with the
        `N_PROBES` nearest lists. The time of n queries then grows with n^1.5 instead of n²;
        neighbours in other lists are missed.

    Returns
    -------
    callable
        From float32 `(n_queries, n_features)` to integers `(n_queries, n_neighbors)`: rows of
        `descriptors`, nearest first; -1 where the searched lists have too few.
    """
    if search == "exact":
        index = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute").fit(descriptors)
        return partial(index.kneighbors, return_distance=False)
    import faiss  # takes half a second, and is seldom needed

    n_lists = math.isqrt(len(descriptors))
    index = faiss.index_factory(descriptors.shape[1], f"IVF{n_lists},Flat")
    index.cp.min_points_per_centroid = 1  # below its default of 39, faiss warns
    index.train(descriptors)
    index.add(descriptors)
    index.nprobe = N_PROBES
    return lambda queries: index.search(queries, n_neighbors)[1]
