"""The usual notebook's way, step by step: what our own is measured against.

Each function does what the notebooks on HAM10000 do, in their order and with the libraries' own
calls, and nothing slower than they do.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from imblearn.over_sampling import ADASYN
from PIL import Image

from lesions.runtime import keras


def read_images(labels: pd.DataFrame, folder: Path, size: int) -> np.ndarray:
    """Read and resize the photographs of a table row by row: `image_array`, `(n, size, size, 3)`.

    Parameters
    ----------
    labels
        With a column `image_path`, relative to `folder`.
    """

    def read(path):
        return np.asarray(Image.open(folder / path).resize((size, size)))

    return np.stack(labels["image_path"].apply(read).to_list())


def resample(images: np.ndarray, labels: np.ndarray, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Over-sample all images at once, flattened to float32; give images and labels."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    resampled, labels = ADASYN(random_state=seed).fit_resample(flat, labels)
    return resampled.reshape(-1, *images.shape[1:]), labels


def on_backbone(backbone: keras.Model, head: keras.Model) -> keras.Model:
    """Put a head on a backbone that is not trained."""
    backbone.trainable = False
    return keras.Sequential([keras.Input(backbone.input_shape[1:]), backbone, head])


def fit(
    network: keras.Model,
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
