"""The features of a frozen backbone, computed once for all epochs and all heads."""

from functools import lru_cache

import numpy as np
from scipy import sparse
from tqdm import tqdm

from lesions.networks.backend import keras, tf
from lesions.networks.layers import rows_at_once
from lesions.sampling.mixing import mix


def extract_features(
    backbone: keras.Model,
    mixing: sparse.csr_matrix,
    images: np.ndarray,
    out: np.ndarray,
    *,
    batch_size: int = 128,
) -> None:
    """Fill `out` with the features of mixed images.

    Pixels are mixed before they pass the backbone: it is not linear, so mixing features instead
    would give other numbers.

    Parameters
    ----------
    mixing
        `(n_rows, n_images)`.
    images
        uint8 `(n_images, height, width, 3)`; may be a memory map.
    out
        float32 `(n_rows, n_features)`, written in place; may be a memory map.
    batch_size
        Images at a time, fewer if they are large; the last digits of the result depend on it.
    """
    forward = _compile(backbone)
    batch_size = min(batch_size, rows_at_once(backbone))
    batches = range(0, mixing.shape[0], batch_size)
    for start in tqdm(batches, desc="features", unit="batch", disable=None):
        rows = slice(start, start + batch_size)
        out[rows] = forward(tf.constant(mix(mixing[rows], images))).numpy()


@lru_cache(maxsize=1)
def _compile(backbone: keras.Model):
    """Compile for batches of any size, once for training and validation images."""
    signature = [tf.TensorSpec((None, *backbone.input_shape[1:]), tf.float32)]
    return tf.function(lambda pixels: backbone(pixels, training=False), input_signature=signature)
