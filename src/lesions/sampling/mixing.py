"""The mixing matrix: resampled images as weighted means of training images."""

import io
import math
import zipfile
from pathlib import Path

import numpy as np
from scipy import sparse


def index_all_images(
    mixing: sparse.csr_matrix, train_rows: np.ndarray, n_images: int
) -> sparse.csr_matrix:
    """Re-index columns from training images to all images.

    Parameters
    ----------
    mixing
        `(n_resampled, n_train)`.
    train_rows
        Integers `(n_train,)`, ascending: rows of the training images among all images.

    Returns
    -------
    csr_matrix
        `(n_resampled, n_images)`.

    Raises
    ------
    ValueError
        If the matrix was made for another number of training images.
    """
    if mixing.shape[1] != len(train_rows):
        raise ValueError(
            f"The mixing matrix has {mixing.shape[1]} columns, but the partitions have "
            f"{len(train_rows)} training images; run 'dvc repro balance'"
        )
    arrays = (mixing.data, train_rows[mixing.indices], mixing.indptr)
    return sparse.csr_matrix(arrays, shape=(mixing.shape[0], n_images))


def select_images(rows: np.ndarray, n_images: int) -> sparse.csr_matrix:
    """Return the matrix `(len(rows), n_images)` that takes the images `rows` as they are."""
    return sparse.identity(n_images, dtype=np.float32, format="csr")[rows]


def mix(mixing: sparse.csr_matrix, images: np.ndarray) -> np.ndarray:
    """Return the product of `mixing` and the pixels of `images`.

    Only the images that are needed are read, so `images` may be a memory map.

    Parameters
    ----------
    mixing
        `(n_rows, n_images)`.
    images
        uint8 `(n_images, height, width, 3)`.

    Returns
    -------
    ndarray
        float32 `(n_rows, height, width, 3)`, 0–255.
    """
    used, columns = np.unique(mixing.indices, return_inverse=True)
    pixels = images[used].reshape(len(used), math.prod(images.shape[1:])).astype(np.float32)
    block = sparse.csr_matrix(
        (mixing.data, columns, mixing.indptr), shape=(mixing.shape[0], len(used))
    )
    return (block @ pixels).reshape(mixing.shape[0], *images.shape[1:])


def save_mixing(path: Path, mixing: sparse.csr_matrix, labels: np.ndarray) -> None:
    """Write matrix and labels to one `.npz` that `scipy.sparse.load_npz` reads.

    The bytes depend on the numbers alone: `numpy.savez` writes zip flags that differ between
    versions of Python, and zlib's compression differs between its versions.
    """
    arrays = {"data": mixing.data, "indices": mixing.indices, "indptr": mixing.indptr}
    arrays |= {"shape": mixing.shape, "format": b"csr", "labels": labels}
    with zipfile.ZipFile(path, "w") as archive:
        for name, values in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asarray(values), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue())


def load_mixing(path: Path) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Return matrix and labels that `save_mixing` wrote."""
    with np.load(path) as arrays:
        return sparse.load_npz(path), arrays["labels"]
