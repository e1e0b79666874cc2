"""The usual notebook's way, step by step: what our own is measured against.

Each function does what the notebooks on HAM10000 do, in their order and with the libraries' own
calls, and nothing slower than they do. TensorFlow is imported by the two that need it alone.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import pandas as pd
from imblearn.over_sampling import ADASYN


def read_images(files: Sequence[str], size: int) -> np.ndarray:
    """Read and resize row by row into a column `image_array`; give uint8 `(n, size, size, 3)`."""

    def read(path):
        image = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
        return cv2.resize(image, (size, size))

    table = pd.DataFrame({"path": files})
    table["image_array"] = table["path"].map(read)
    return np.stack(table["image_array"])


def resample(images: np.ndarray, labels: np.ndarray, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Over-sample all images at once, flattened to float32; give images and labels."""
    shape = images.shape[1:]
    flat = images.reshape(len(images), -1).astype(np.float32)
    del images  # so that they don't count, where the caller holds them no longer
    resampled, labels = ADASYN(random_state=seed).fit_resample(flat, labels)
    return resampled.reshape(-1, *shape), labels


def on_backbone(backbone, head):
    """Put a Keras head on a backbone that is not trained."""
    from lesions.runtime import keras

    backbone.trainable = False
    return keras.Sequential([keras.Input(backbone.input_shape[1:]), backbone, head])


def fit(
    network,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    validation: tuple[np.ndarray, np.ndarray] | None,
    learning_rate: float,
    batch_size: int,
    epochs: int,
    callbacks: tuple = (),
) -> dict[str, list[float]]:
    """Compile and fit on the materialised images; give Keras' history.

    All images pass through all of the network in every epoch, through a frozen part too.
    """
    from lesions.runtime import keras

    network.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    done = network.fit(
        images,
        labels,
        batch_size=batch_size,
        epochs=epochs,
        validation_data=validation,
        callbacks=list(callbacks),
        verbose=0,
    )
    return done.history
