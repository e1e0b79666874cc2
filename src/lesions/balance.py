"""Over-sampling as a sparse mixing matrix: the resampled photographs are `mixing @ photographs`.

ADASYN (He et al., IJCNN 2008) and SMOTE (Chawla et al., JAIR 16, 2002) make a new image as a
weighted mean of two training images of one class. imbalanced-learn's own samplers are run on the
identity matrix, so that what they return *is* the matrix of these weights; only their neighbour
search sees the real pixels, a block at a time. The resampled pixels, tens of gigabytes at 224 px,
never exist.
"""

import numpy as np
from imblearn.over_sampling import ADASYN, SMOTE, RandomOverSampler
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

from lesions.neighbors import nearest_rows
from lesions.taxonomy import CODES


def mixing_matrix(
    images: np.ndarray,
    train_rows: np.ndarray,
    labels: np.ndarray,
    *,
    method: str,
    n_neighbors: int,
    seed: int,
) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Resample the training images so that the classes become about equally large.

    ADASYN spreads the images that a class lacks over those that it has, each share rounded. A class
    that lacks at most half its own number may get none; it stays as it is (see `count_resampled`).

    Parameters
    ----------
    images
        uint8 `(n_images, height, width, 3)`; may be a memory map.
    train_rows
        Integers `(n_train,)`: the training images' places among all images.
    labels
        Integers `(n_train,)`, 0–6, of the training images.
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
        If the method cannot resample a class; the message names it and the way out.
    """
    one_hot = sparse.identity(len(labels), dtype=np.float32, format="csr")
    if method == "none":
        return one_hot, labels.astype(np.uint8)
    neighbors = PixelNeighbors(images, train_rows, n_neighbors=n_neighbors + 1)
    n_images = np.bincount(labels)
    targets = {int(label): int(n_images.max()) for label in np.unique(labels)}
    while True:
        sampler = {
            "adasyn": ADASYN(sampling_strategy=targets, random_state=seed, n_neighbors=neighbors),
            "smote": SMOTE(sampling_strategy=targets, random_state=seed, k_neighbors=neighbors),
            "random": RandomOverSampler(sampling_strategy=targets, random_state=seed),
        }[method]
        try:
            mixing, resampled = sampler.fit_resample(one_hot, labels)
            break
        except (RuntimeError, ValueError) as error:
            label = int(labels[neighbors.asked[0]]) if neighbors.asked.size else None
            if method != "adasyn" or label is None or not _may_stay(n_images, label, n_neighbors):
                message = _explain(error, method, n_neighbors, labels, label)
                raise ValueError(message) from error
            del targets[label]
    mixing.eliminate_zeros()
    mixing.sort_indices()
    return mixing, resampled.astype(np.uint8)


def _may_stay(n_images: np.ndarray, label: int, n_neighbors: int) -> bool:
    """Tell whether ADASYN's even share of what a class lacks would round to no image."""
    return (
        n_images[label] > n_neighbors and 2 * (n_images.max() - n_images[label]) <= n_images[label]
    )


def count_resampled(labels: np.ndarray, resampled: np.ndarray) -> dict[str, dict[str, int]]:
    """Count the images of each `dx` before and after.

    Returns
    -------
    dict
        `before` and `after`: `dx` to images; `not_resampled`: of each `dx` that is smaller than the
        largest and got no image, the number that it lacks.
    """
    before, after = count_classes(labels), count_classes(resampled)
    largest = max(before.values())
    lacking = {
        dx: largest - count
        for dx, count in before.items()
        if 0 < count < largest and after[dx] == count
    }
    return {"before": before, "after": after, "not_resampled": lacking}


def count_classes(labels: np.ndarray) -> dict[str, int]:
    """Count the images of each `dx`."""
    return dict(zip(CODES, np.bincount(labels, minlength=len(CODES)).tolist(), strict=True))


class PixelNeighbors(NearestNeighbors):
    """Nearest neighbours among images for a sampler that only handles one-hot rows.

    A one-hot row names an image by the place of its 1 in `image_rows`, which holds rows of
    `images`. `asked` keeps the one-hot places of the last search: when a sampler gives up, they
    tell at which class.
    """

    def __init__(self, images, image_rows, n_neighbors=5):
        super().__init__(n_neighbors=n_neighbors)
        self.images = images
        self.image_rows = image_rows
        self.asked = np.empty(0, dtype=int)

    def __sklearn_clone__(self):
        """Stay one object: a clone would copy the images."""
        return self

    def fit(self, one_hot, y=None):
        """Search among the images that the `one_hot` rows name from now on."""
        self.among = one_hot.indices
        return self

    def kneighbors(self, one_hot, return_distance=False):
        """Find the neighbours of the images that the `one_hot` rows name; without distances."""
        self.asked = one_hot.indices
        asked, among = self.image_rows[self.asked], self.image_rows[self.among]
        return nearest_rows(self.images, asked, among, n_neighbors=self.n_neighbors)


def _explain(error, method, n_neighbors, labels, label) -> str:
    """Say what the sampler needed, at which class it failed, and the way out."""
    if label is None:
        return f"balance.method: {method} cannot resample the training images: {error}"
    n_images = int((labels == label).sum())
    found = f"{CODES[label]} has {n_images} training images"
    if n_images <= n_neighbors:
        return (
            f"balance.method: {method} needs more than n_neighbors = {n_neighbors} training images "
            f"of every class; {found}; lower balance.n_neighbors, use method: random, or bring "
            f"more images"
        )
    return (
        f"balance.method: {method} needs images of another class among the {n_neighbors} nearest "
        f"neighbors of some image of every class; {found}, and all neighbors share its class; use "
        f"method: smote ({error})"
    )
