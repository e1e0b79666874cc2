"""The frozen part of a model, run once over the resampled training images."""

from functools import lru_cache

import numpy as np
from scipy import sparse
from tqdm import tqdm

from lesions.mixing import mix
from lesions.runtime import keras, tf


def extract_features(
    frozen: keras.Model,
    mixing: sparse.csr_matrix,
    images: np.ndarray,
    out: np.ndarray,
    *,
    batch_size: int = 128,
) -> None:
    """Fill `out` with what `frozen` makes of the photographs that the rows of `mixing` stand for.

    The pixels are mixed first, then pass the frozen part: mixing its features instead would not
    be the same, since it is not linear.

    Parameters
    ----------
    mixing
        `(n_rows, n_images)`.
    images
        uint8 `(n_images, height, width, 3)`; may be a memory map.
    out
        float32 `(n_rows, *frozen.output_shape[1:])`, written in place; may be a memory map.
    batch_size
        Images at a time; bounds the memory. It is part of the result's last digits.
    """
    forward = _compiled(frozen)
    for start in tqdm(
        range(0, mixing.shape[0], batch_size), desc=frozen.name, unit="batch", disable=None
    ):
        rows = slice(start, start + batch_size)
        out[rows] = forward(tf.constant(mix(mixing[rows], images))).numpy()


@lru_cache(maxsize=1)
def _compiled(frozen: keras.Model):
    """Compile `frozen` for batches of any size, once for all parts: ResNet50 takes a second."""
    signature = [tf.TensorSpec((None, *frozen.input_shape[1:]), tf.float32)]
    return tf.function(lambda pixels: frozen(pixels, training=False), input_signature=signature)
