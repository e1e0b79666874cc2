"""Which descriptors are nearest: exactly, or among many photographs approximately."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from sklearn.neighbors import NearestNeighbors

SEARCHES = ("exact", "approximate")
N_PROBES = 16  # lists that are looked through for each question


def nearest_search(
    described: np.ndarray, *, n_nearest: int, search: str
) -> Callable[[np.ndarray], np.ndarray]:
    """Give the function that finds the nearest of `described` for other descriptors.

    Parameters
    ----------
    described
        float32 `(n, n_features)`.
    n_nearest
        At most n.
    search
        `exact` compares with each of them. `approximate` cuts them into as many lists as the square
        root of their number, by k-means, and compares with those in the `N_PROBES` lists nearest to
        the question alone (an inverted file: Jégou, Douze, Schmid, IEEE Trans Pattern Anal Mach
        Intell 33:117, 2011; PyPI `faiss-cpu`): a time that grows with n to the power 1.5, not 2. A
        neighbour in another list is missed.

    Returns
    -------
    callable
        From float32 `(n_asked, n_features)` to integers `(n_asked, n_nearest)`, rows of
        `described`, the nearest first; -1 where the lists held no more.
    """
    if search == "exact":
        index = NearestNeighbors(n_neighbors=n_nearest, algorithm="brute").fit(described)
        return partial(index.kneighbors, return_distance=False)
    import faiss  # half a second, and seldom wanted

    n_lists = math.isqrt(len(described))
    index = faiss.index_factory(described.shape[1], f"IVF{n_lists},Flat")
    index.cp.min_points_per_centroid = 1  # it warns below 39; then the search is nearly exact
    index.train(described)
    index.add(described)
    index.nprobe = N_PROBES
    return lambda asked: index.search(asked, n_nearest)[1]
