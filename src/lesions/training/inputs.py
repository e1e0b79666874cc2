"""What a model is trained on: mixed images, with metadata or not, or features of a backbone."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import sparse

from lesions.imaging.arrays import open_images
from lesions.imaging.photographs import open_photographs
from lesions.networks.backend import keras
from lesions.networks.layers import join
from lesions.networks.saving import load_network
from lesions.sampling.mixing import index_all_images, mix, select_images
from lesions.training.feature_extraction import extract_features
from lesions.training.step import Rows


class Inputs(NamedTuple):
    """Rows to train on and to validate on."""

    features: np.ndarray  # of the training rows (n, ...); the shape of images, no row (0, ...)
    read: Callable[[np.ndarray], Rows]  # row numbers to float32 rows
    labels: np.ndarray  # int (n_rows,)
    validation: tuple[Rows, np.ndarray] | None  # rows and labels; None: no validation images
    monitored: tuple[Rows, np.ndarray] | None  # of the test images; None: they are not scored
    backbone: keras.Model | None  # from pixels to features; None: the rows are pixels

    def end_to_end(self, network: keras.Model) -> keras.Model:
        """Return the network from pixels to probabilities."""
        return network if self.backbone is None else join(self.backbone, network)


def open_inputs(
    path: Path,
    *,
    images: Path,
    mixing: sparse.csr_matrix,
    mixed_labels: np.ndarray,
    labels: np.ndarray,
    metadata: np.ndarray,
    partition: np.ndarray,
    rows: str,
    monitor: str,
    image_paths: Sequence[str],
    resize: Mapping,
) -> Inputs:
    """Open images, stored or as photographs, or the features that stage `features` stored.

    Parameters
    ----------
    path
        The array of images, the folder of photographs, or the folder of features.
    images
        The array of images; the features of its test images are monitored.
    mixing, mixed_labels
        As `lesions.sampling.mixing.load_mixing` returns them.
    labels
        Integers `(n_images,)`, of all images.
    metadata
        float32 `(n_images, n_values)`, as `lesions.networks.metadata.encode_metadata` returns them;
        of no values, or beside images. A resampled row has the weighted mean of its parents'.
    partition
        `(n_images,)`: `train`, `val`, `cal` or `test`.
    rows
        `resampled`: all rows of `mixing`; `train`: the training images, which are its first rows.
    monitor
        `test`: the test images are `monitored`; features of them are computed now, since stage
        `features` stores none. `none`: nothing is.
    image_paths
        Of all images, in the folder of photographs.
    resize
        `pixels` and other settings of `lesions.imaging.photographs.Photographs`.
    """
    n_rows = len(mixed_labels) if rows == "resampled" else mixing.shape[1]
    val = np.flatnonzero(partition == "val")
    test = np.flatnonzero((partition == "test") & (monitor == "test"))
    if (path / "backbone.keras").exists():
        features = np.load(path / "train.npy", mmap_mode="r")[:n_rows]
        read, validation = features.__getitem__, np.load(path / "val.npy")
        backbone = load_network(path / "backbone.keras")
        monitored = np.empty((len(test), *features.shape[1:]), np.float32)
        if len(test):
            stored = open_images(images, pixels=resize["pixels"])
            extract_features(backbone, select_images(test, len(stored)), stored, monitored)
    else:
        stored = open_photographs(path, image_paths, **resize)
        features = np.empty((0, *stored.shape[1:]), np.uint8)
        weights = index_all_images(mixing, np.flatnonzero(partition == "train"), len(stored))

        def read(batch):
            return _pair(mix(weights[batch], stored), weights[batch] @ metadata)

        validation, backbone = _pair(stored[val], metadata[val]), None
        monitored = _pair(stored[test], metadata[test])
    return Inputs(
        features=features,
        read=read,
        labels=mixed_labels[:n_rows],
        validation=(validation, labels[val]) if len(val) else None,
        monitored=(monitored, labels[test]) if len(test) else None,
        backbone=backbone,
    )


def _pair(pixels: np.ndarray, metadata: np.ndarray) -> Rows:
    return {"pixels": pixels, "metadata": metadata} if metadata.shape[1] else pixels
