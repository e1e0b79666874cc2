"""The usual notebook's steps, which ours are compared with.

Each function does what the notebooks on HAM10000 do, in their order and with the libraries' own
calls, and nothing slower. Only `fit` imports TensorFlow.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import pandas as pd
from imblearn.over_sampling import ADASYN


def read_images(files: Sequence[str], pixels: int) -> np.ndarray:
    """Read and resize row by row into a column; return uint8 `(n, pixels, pixels, 3)`."""

    def read(path):
        image = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
        return cv2.resize(image, (pixels, pixels))

    table = pd.DataFrame({"path": files})
    table["image_array"] = table["path"].map(read)
    return np.stack(table["image_array"])


def resample(images: np.ndarray, labels: np.ndarray, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Over-sample all images at once, flattened to float32; return images and labels."""
    shape = images.shape[1:]
    flat = images.reshape(len(images), -1).astype(np.float32)
    del images  # so that they do not count if the caller has dropped them
    resampled, labels = ADASYN(random_state=seed).fit_resample(flat, labels)
    return resampled.reshape(-1, *shape), labels


def fit(
    network,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    learning_rate: float,
    batch_size: int,
    epochs: int,
    callbacks: Sequence = (),
) -> None:
    """Compile and fit on the materialised images; frozen layers run in every epoch."""
    from lesions.networks.backend import keras

    network.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    options = {"batch_size": batch_size, "epochs": epochs, "verbose": 0}
    network.fit(images, labels, callbacks=list(callbacks), **options)
