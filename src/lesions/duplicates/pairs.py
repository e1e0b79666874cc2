"""Pairs of photographs that look alike, and which of them are near-duplicates."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lesions.duplicates.alignment import align_candidates
from lesions.duplicates.descriptors import find_candidates
from lesions.duplicates.embeddings import find_neighbors
from lesions.duplicates.keypoints import Keypoints, count_matches

SIDE = 32  # px, of the central squares; audit.similarity was chosen at this side
DECIMALS = 4
ENDS = ["row", "other_row"]


def find_pairs(
    *,
    squares: np.ndarray | None = None,
    embeddings: np.ndarray | None = None,
    keypoints: Sequence[Keypoints] | None = None,
    similarity: float,
    min_matches: int,
    n_neighbors: int,
    search: str,
) -> pd.DataFrame:
    """Find pairs of photographs that look alike, by pixels, by embeddings and keypoints, or both.

    Parameters
    ----------
    squares
        As of `compare_pixels`; `None`: pixels are not compared.
    embeddings, keypoints
        As of `compare_keypoints`; `None`: keypoints are not compared.
    similarity, min_matches
        Pairs with either at or above it are near-duplicates.
    n_neighbors, search
        See `compare_pixels` and `compare_keypoints`.

    Returns
    -------
    DataFrame
        `row`, `other_row` (the smaller first), `similarity` and `matches`, missing where they were
        not computed, and `near_duplicate`. Each pair once: near-duplicates first, then by matches
        and similarity.
    """
    settings = {"n_neighbors": n_neighbors, "search": search}
    pairs = pd.DataFrame(columns=ENDS, dtype=int)
    if squares is not None:
        pairs = compare_pixels(squares, **settings)
    if embeddings is not None:
        matching = compare_keypoints(embeddings, keypoints, **settings)
        pairs = pairs.merge(matching, how="outer", on=ENDS)
    pairs = pairs.reindex(columns=[*ENDS, "similarity", "matches"])
    pairs = pairs.astype({"similarity": float, "matches": "Int64"})
    near = (pairs["similarity"] >= similarity) | (pairs["matches"].fillna(0) >= min_matches)
    pairs["near_duplicate"] = near.astype(bool)
    order = ["near_duplicate", "matches", "similarity", *ENDS]
    return pairs.sort_values(order, ascending=[False] * 3 + [True] * 2, ignore_index=True)


def compare_pixels(squares: np.ndarray, *, n_neighbors: int, search: str = "exact") -> pd.DataFrame:
    """Find the most similar pairs of photographs under rotation, flips, zoom and translation.

    Parameters
    ----------
    squares
        uint8 `(n_images, SIDE, SIDE, 3)`, RGB: central squares of the photographs.
    n_neighbors
        Candidates for each photograph that are aligned and compared.
    search
        `exact` or `approximate`, see `lesions.duplicates.search`.

    Returns
    -------
    DataFrame
        `row`, `other_row` (rows of `squares`, the smaller first) and `similarity` in [-1, 1] with
        four decimals (see `lesions.duplicates.alignment.aligned_similarity`). Each pair once.
    """
    candidates = find_candidates(squares, n_neighbors=n_neighbors, search=search)
    similarity = align_candidates(squares, candidates)
    ends = candidates[["fixed", "moving"]]
    # Rounded before any comparison: further digits depend on the CPU. + 0.0 removes -0.0.
    pairs = pd.DataFrame(
        {
            "row": ends.min(axis=1),
            "other_row": ends.max(axis=1),
            "similarity": similarity.round(DECIMALS) + 0.0,
        }
    )
    return pairs.groupby(ENDS, as_index=False).max()


def compare_keypoints(
    embeddings: np.ndarray,
    keypoints: Sequence[Keypoints],
    *,
    n_neighbors: int,
    search: str = "exact",
) -> pd.DataFrame:
    """Count the matching keypoints of photographs whose embeddings are alike.

    Parameters
    ----------
    embeddings
        `(n_images, n_features)`, see `lesions.duplicates.embeddings.find_neighbors`.
    keypoints
        Of each photograph, see `lesions.duplicates.keypoints`.
    n_neighbors
        Candidates for each photograph whose keypoints are compared.
    search
        `exact` or `approximate`, see `lesions.duplicates.search`.

    Returns
    -------
    DataFrame
        `row`, `other_row` (the smaller first), `matches`. Each pair once.
    """
    pairs = find_neighbors(embeddings, n_neighbors=n_neighbors, search=search)
    return pairs.assign(matches=count_matches(keypoints, pairs))
