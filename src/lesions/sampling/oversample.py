"""Over-sampling as a sparse mixing matrix: the resampled images are `mixing @ images`.

ADASYN (He et al., IJCNN 2008) and SMOTE (Chawla et al., JAIR 16, 2002) make a new image as a
weighted mean of two training images of one class. imbalanced-learn's own samplers run on the
identity matrix, so that their result *is* the matrix of these weights; only their neighbour search
sees real pixels, in chunks. The resampled pixels, tens of gigabytes at 224 px, never exist.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from imblearn.over_sampling import ADASYN, SMOTE, RandomOverSampler
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

from lesions.sampling.neighbors import nearest_rows


def oversample(
    images: np.ndarray,
    train_rows: np.ndarray,
    labels: np.ndarray,
    *,
    codes: Sequence[str],
    method: str,
    n_neighbors: int,
    seed: int,
) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Resample the training images so that the classes become about equally large.

    ADASYN distributes the images that a class lacks over those that it has, and rounds each share.
    A class with at least two thirds of the largest one's images may get none; it stays as it is.

    Parameters
    ----------
    images
        uint8 `(n_images, height, width, 3)`; may be a memory map.
    train_rows
        Integers `(n_train,)`: rows of the training images in `images`.
    labels
        Integers `(n_train,)`, of the training images.
    codes
        Of the classes, for messages.
    method
        `adasyn`, `smote`, `random` (repeats images) or `none`.
    n_neighbors
        Used by `adasyn` and `smote`.

    Returns
    -------
    mixing
        float32 CSR `(n_resampled, n_train)`; rows sum to 1, with at most two entries each; the
        first `n_train` rows are the training images themselves.
    labels
        uint8 `(n_resampled,)`.

    Raises
    ------
    ValueError
        If the method cannot resample a class.
    """
    identity = sparse.identity(len(labels), dtype=np.float32, format="csr")
    if method == "none":
        return identity, labels.astype(np.uint8)
    neighbors = PixelNeighbors(images, train_rows, n_neighbors=n_neighbors + 1)
    counts = np.bincount(labels)
    targets = {int(label): int(counts.max()) for label in np.unique(labels)}
    while True:
        sampler = {
            "adasyn": ADASYN(sampling_strategy=targets, random_state=seed, n_neighbors=neighbors),
            "smote": SMOTE(sampling_strategy=targets, random_state=seed, k_neighbors=neighbors),
            "random": RandomOverSampler(sampling_strategy=targets, random_state=seed),
        }[method]
        try:
            mixing, resampled = sampler.fit_resample(identity, labels)
            break
        except (RuntimeError, ValueError) as error:
            label = int(labels[neighbors.queries[0]]) if neighbors.queries.size else None
            if method != "adasyn" or not _may_stay(counts, label, n_neighbors):
                message = _explain(error, method, n_neighbors, counts, label, codes)
                raise ValueError(message) from error
            del targets[label]
    mixing.eliminate_zeros()
    mixing.sort_indices()
    return mixing, resampled.astype(np.uint8)


def count_rows(labels: np.ndarray, resampled: np.ndarray, *, codes: Sequence[str]) -> pd.DataFrame:
    """Count the training images of each diagnosis before and after over-sampling.

    Returns
    -------
    DataFrame
        `dx`, `rows` (`train` or `resampled`), `n_images`.
    """
    counts = {
        "dx": codes,
        "train": np.bincount(labels, minlength=len(codes)),
        "resampled": np.bincount(resampled, minlength=len(codes)),
    }
    table = pd.DataFrame(counts).melt("dx", var_name="rows", value_name="n_images")
    return table.sort_values(
        "dx", key=lambda dx: dx.map(codes.index), kind="stable", ignore_index=True
    )


class PixelNeighbors(NearestNeighbors):
    """Nearest neighbours by pixels, for a sampler that sees one-hot rows only.

    A one-hot row represents the training image at the position of its 1. `queries` keeps the
    positions of the last search, which identify the class at which a sampler failed.
    """

    def __init__(self, images, train_rows, n_neighbors=5):
        super().__init__(n_neighbors=n_neighbors)
        self.images = images
        self.train_rows = train_rows
        self.queries = np.empty(0, dtype=int)

    def __sklearn_clone__(self):
        """Return itself: a clone would copy the images."""
        return self

    def fit(self, one_hot, y=None):
        """Search among these images from now on."""
        self.candidates = one_hot.indices
        return self

    def kneighbors(self, one_hot, return_distance=False):
        """Return the neighbours of these images, without distances."""
        self.queries = one_hot.indices
        queries, candidates = self.train_rows[self.queries], self.train_rows[self.candidates]
        return nearest_rows(self.images, queries, candidates, n_neighbors=self.n_neighbors)


def _may_stay(counts: np.ndarray, label: int | None, n_neighbors: int) -> bool:
    """Return whether ADASYN's even share of what a class lacks would round to no image."""
    if label is None or counts[label] <= n_neighbors:
        return False
    return 2 * (counts.max() - counts[label]) <= counts[label]


def _explain(error, method, n_neighbors, counts, label, codes) -> str:
    """Return what the sampler needs, the class at which it failed, and how to go on."""
    if label is None:
        return f"balance.method: {method} cannot resample the training images: {error}"
    found = f"{codes[label]} has {counts[label]} training images"
    if counts[label] <= n_neighbors:
        return (
            f"balance.method: {method} needs more than n_neighbors = {n_neighbors} training images "
            f"of every class, and {found}; lower balance.n_neighbors, use method: random, or add "
            "more images"
        )
    return (
        f"balance.method: {method} needs images of another class among the {n_neighbors} nearest "
        f"neighbours of some image of every class; {found}, and all neighbours share its class; "
        f"use method: smote ({error})"
    )
