"""Candidate pairs: photographs whose embeddings by a network are alike."""

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.preprocessing import normalize

from lesions.duplicates.search import build_search

N_COMPONENTS = 256
MIN_PER_COMPONENT = 10  # photographs; with as many components as photographs, all are equally alike


def find_neighbors(embeddings: np.ndarray, *, n_neighbors: int, search: str) -> pd.DataFrame:
    """Find the photographs that each one resembles most.

    The embeddings are whitened, so that what distinguishes few photographs counts as much as what
    distinguishes dermatoscopes (Jégou, Chum, ECCV 2012), and compared by cosine.

    Parameters
    ----------
    embeddings
        `(n_images, n_features)`.
    n_neighbors
        Of each photograph, or `n_images - 1` if that is less.
    search
        `exact` or `approximate`, see `lesions.duplicates.search`.

    Returns
    -------
    DataFrame
        `row`, `other_row` (rows of `embeddings`, the smaller first); each pair once.
    """
    n_neighbors = min(n_neighbors, len(embeddings) - 1)
    if n_neighbors < 1:
        return pd.DataFrame(columns=["row", "other_row"], dtype=int)
    whitened = whiten(embeddings)
    find_nearest = build_search(whitened, n_neighbors=n_neighbors + 1, search=search)
    nearest = find_nearest(whitened)
    ends = np.repeat(np.arange(len(nearest)), nearest.shape[1]), nearest.ravel()
    pairs = pd.DataFrame({"row": np.minimum(*ends), "other_row": np.maximum(*ends)})
    pairs = pairs[(pairs["row"] >= 0) & (pairs["row"] < pairs["other_row"])]
    return pairs.drop_duplicates().sort_values(["row", "other_row"], ignore_index=True)


def whiten(embeddings: np.ndarray) -> np.ndarray:
    """Return the first principal components with variance 1, then norm 1: float32."""
    n_components = np.clip(len(embeddings) // MIN_PER_COMPONENT, 1, N_COMPONENTS)
    n_components = min(n_components, embeddings.shape[1])
    pca = PCA(int(n_components), whiten=True, svd_solver="covariance_eigh")
    return normalize(pca.fit_transform(normalize(embeddings.astype(np.float32))))
