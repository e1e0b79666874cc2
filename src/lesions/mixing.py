"""The mixing matrix at work: any rows of it, times the photographs, are a batch of pixels."""

import io
import math
import zipfile
from pathlib import Path

import numpy as np
from scipy import sparse


def over_all_images(
    mixing: sparse.csr_matrix, train_rows: np.ndarray, n_images: int
) -> sparse.csr_matrix:
    """Let the columns of `mixing` stand for all images instead of the training images.

    Parameters
    ----------
    mixing
        `(n_resampled, n_train)`.
    train_rows
        Integers `(n_train,)`, ascending: the training images' places among all images.

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
            f"mixing matrix and partitions must come from one run; the matrix mixes "
            f"{mixing.shape[1]} training images, the partitions have {len(train_rows)}; "
            f"run 'dvc repro'"
        )
    parts = (mixing.data, train_rows[mixing.indices], mixing.indptr)
    return sparse.csr_matrix(parts, shape=(mixing.shape[0], n_images))


def only_images(rows: np.ndarray, n_images: int) -> sparse.csr_matrix:
    """Give the mixing matrix `(len(rows), n_images)` that leaves the images `rows` as they are."""
    return sparse.identity(n_images, dtype=np.float32, format="csr")[rows]


def mix(mixing: sparse.csr_matrix, images: np.ndarray) -> np.ndarray:
    """Make the photographs that the rows of `mixing` stand for.

    Only the images that are asked for are read, so `images` may be a memory map.

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


def mix_rows(mixing: sparse.csr_matrix, images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Make the photographs of some `rows` of `mixing`; see `mix`."""
    return mix(mixing[rows], images)


def save_mixing(path: Path, mixing: sparse.csr_matrix, labels: np.ndarray) -> None:
    """Write matrix and labels to one `.npz`, as SciPy's `save_npz` would, and `labels` beside.

    NumPy's own `savez` asks for a zip of 64 bits, which one Python marks in the file and another
    does not; and what compression makes of the same numbers is up to zlib. Here they follow from
    the numbers alone.
    """
    arrays = {"data": mixing.data, "indices": mixing.indices, "indptr": mixing.indptr}
    arrays |= {"shape": mixing.shape, "format": b"csr", "labels": labels}
    with zipfile.ZipFile(path, "w") as archive:
        for name, values in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asarray(values), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue())


def load_mixing(path: Path) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Read what `save_mixing` wrote."""
    with np.load(path) as arrays:
        return sparse.load_npz(path), arrays["labels"]
